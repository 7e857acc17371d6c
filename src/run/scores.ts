/** Where a tree meets its reward: branches become candidates, and what is told of each is kept for the report. */

import { ServeError } from '../core/errors.ts';
import type { CandidateReport } from '../core/events.ts';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { PlanPrompt } from '../plan/plan.ts';

/** Given-up candidates of a long search that are reported; the others are only counted in tokens. */
const MOST_REPORTED = 256;

/** A candidate that was given up: of a long search there are many, so its text and draws are not held. */
export interface Gone {
  readonly id: number;
  readonly tokens: number;
  /** It had come to its end. */
  readonly whole: boolean;
}

interface Scored extends Pick<Gone, 'id'>, Pick<Score, 'value' | 'parts'> {
  /** Its length when it was last judged. */
  readonly tokens: number;
}

interface ScoresOptions {
  /** Null: the plan has none, and a strategy that asks for one is a bug. */
  readonly reward: Reward | null;
  readonly prompt: PlanPrompt;
  readonly signal: AbortSignal;
  readonly onScored: (branches: readonly Branch[], scores: readonly Score[]) => void;
  /** Of what a reward failed with: clients see only that it did. */
  readonly onBug: (error: unknown) => void;
}

export class Scores {
  readonly #options: ScoresOptions;
  /** Of those that may still win. */
  readonly #judged = new Map<number, Scored>();
  /** Of those that were given up, as many as are reported. */
  readonly #gone: Scored[] = [];
  #asked = false;
  #said = false;
  /** Tokens that reward models have read for this tree. */
  tokens = 0;

  constructor(options: ScoresOptions) {
    this.#options = options;
  }

  /**
   * NaN for a branch that could not be judged: it is out, and the search goes on while any other may be judged.
   * @throws ServeError reward_failed where the reward fails; the signal's reason if it aborts first
   */
  async score(branches: readonly Branch[]): Promise<readonly Score[]> {
    if (branches.length === 0) return [];
    const scores = await this.#judge(branches);
    return scores.map((score) => (Number.isFinite(score.value) ? score : { ...score, value: NaN }));
  }

  /** Whether the reward was asked, and never said anything: what was searched for by it is not known to be any good. */
  get silent(): boolean {
    return this.#asked && !this.#said;
  }

  /** Judges those that the reward can read and that have grown since they were last judged. */
  async update(branches: readonly Branch[]): Promise<void> {
    const { reward } = this.#options;
    const stale = branches.filter(
      ({ id, tokens, finish }) =>
        this.#judged.get(id)?.tokens !== tokens.length &&
        (reward?.reads === 'prefix' || finish === 'stop'),
    );
    if (reward !== null && stale.length > 0) await this.#judge(stale);
  }

  /** What a strategy yielded: all others that were judged are given up. */
  kept(frontier: readonly Branch[]): void {
    const left = new Set(frontier.map(({ id }) => id));
    for (const judged of this.#judged.values()) {
      if (left.has(judged.id)) continue;
      this.#judged.delete(judged.id);
      if (this.#gone.length < MOST_REPORTED) this.#gone.push(judged);
    }
  }

  /** What a branch scored when it was last judged; null if it was not, or could not be. */
  scoreOf({ id }: Branch): number | null {
    const value = this.#judged.get(id)?.value ?? NaN;
    return Number.isFinite(value) ? value : null;
  }

  /**
   * What became of every candidate, by id.
   * @param ranked those that were left, the answers first
   * @param pruned those that were given up, beside those that were judged
   */
  report(ranked: readonly Branch[], answers: number, pruned: readonly Gone[]): CandidateReport[] {
    const left = new Set(ranked.map(({ id }) => id));
    const judged = [...this.#gone, ...this.#judged.values()].filter(({ id }) => !left.has(id));
    const known = new Set([...left, ...judged.map(({ id }) => id)]);
    const others = pruned.filter(({ id }) => !known.has(id));
    const gone = [
      ...judged.map((one) => reportOf(one, one, 'pruned')),
      ...others.map((one) => reportOf(one, undefined, one.whole ? 'completed' : 'pruned')),
    ];
    return [
      ...ranked.slice(0, MOST_REPORTED).map((branch, rank) => {
        const [{ id, tokens }, fate] = [branch, fateOf(branch, rank, answers)];
        return reportOf({ id, tokens: tokens.length }, this.#judged.get(id), fate);
      }),
      ...gone.slice(0, MOST_REPORTED),
    ].toSorted((a, b) => a.index - b.index);
  }

  async #judge(branches: readonly Branch[]): Promise<readonly Score[]> {
    const { reward, prompt } = this.#options;
    if (reward === null) throw new Error('the plan has no reward');
    const batch = branches.map((branch) => candidateOf(branch, prompt));
    const scores = await judged(reward, batch, this.#options);
    this.#asked = true;
    this.#said ||= scores.some(({ value }) => Number.isFinite(value));
    branches.forEach((branch, i) => {
      const { value, parts, tokens } = scores[i]!;
      this.tokens += tokens ?? 0;
      const { id } = branch;
      this.#judged.set(id, { id, value, parts, tokens: branch.tokens.length });
    });
    this.#options.onScored(branches, scores);
    return scores;
  }
}

/** A branch as rewards see it. */
export function candidateOf(
  { id, text, tokens, finish }: Branch,
  { text: prompt, messages, readings }: PlanPrompt,
): Candidate {
  const complete = finish === 'stop';
  return { prompt, messages, readings, text, tokens: [...tokens], branch: id, complete };
}

/** @throws ServeError reward_failed where the reward fails; the signal's reason if it aborts first */
export async function judged(
  reward: Reward,
  batch: readonly Candidate[],
  { signal, onBug }: Pick<ScoresOptions, 'signal' | 'onBug'>,
): Promise<readonly Score[]> {
  try {
    return await unless(signal, () => reward.score(batch));
  } catch (error) {
    if (signal.aborted || error instanceof ServeError) throw error;
    onBug(error);
    throw new ServeError('reward_failed', 'a reward model failed on this request');
  }
}

/** @param judged what it scored last; undefined: it was not judged */
function reportOf(
  { id, tokens }: Pick<Gone, 'id' | 'tokens'>,
  judged: Scored | undefined,
  fate: 'selected' | 'completed' | 'pruned',
): CandidateReport {
  const value = judged?.value ?? null;
  const failed = value !== null && !Number.isFinite(value);
  return {
    index: id,
    score: failed ? null : value,
    parts: finite(judged?.parts ?? {}),
    tokens,
    status: failed && fate !== 'selected' ? 'failed' : fate,
    prunedAt: fate === 'pruned' ? (judged?.tokens ?? tokens) : null,
  };
}

/** Of those left: an unfinished one was still growing when a budget ended the search. */
const fateOf = (
  { finish }: Branch,
  rank: number,
  answers: number,
): 'selected' | 'completed' | 'pruned' =>
  rank < answers ? 'selected' : finish === null ? 'pruned' : 'completed';

/** JSON has no other numbers. */
const finite = (parts: Score['parts']): Score['parts'] =>
  Object.fromEntries(Object.entries(parts).filter(([, value]) => Number.isFinite(value)));

/** What `work` comes to, or the signal's reason as soon as it aborts; the work itself is not stopped. */
function unless<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}
