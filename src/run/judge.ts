/** Where a tree meets its reward: branches become candidates, and what became of each is kept for the report. */

import { ServeError } from '../core/errors.ts';
import type { CandidateReport } from '../core/events.ts';
import type { Candidate, Reward, Score } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { PlanPrompt } from '../plan/plan.ts';

/** Given-up candidates of a long search that are reported; the others are only counted in tokens. */
const MOST_REPORTED = 256;

interface Judged {
  readonly branch: Branch;
  readonly score: Score;
  /** Its length when it was last judged. */
  readonly tokens: number;
}

export interface JudgeOptions {
  /** Null: the plan has none, and a strategy that asks for one is a bug. */
  readonly reward: Reward | null;
  readonly prompt: PlanPrompt;
  readonly signal: AbortSignal;
  readonly onScored: (branches: readonly Branch[], scores: readonly Score[]) => void;
  /** Of what a reward failed with: clients see only that it did. */
  readonly onBug: (error: unknown) => void;
}

export class Judge {
  readonly #options: JudgeOptions;
  readonly #judged = new Map<number, Judged>();
  /** Some candidate had a score: one that has none is disqualified, and the search goes on. */
  #able = false;
  /** Tokens that reward models have read for this tree. */
  tokens = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** @throws ServeError reward_failed if no branch could be judged; the signal's reason if it aborts first */
  async score(branches: readonly Branch[]): Promise<readonly Score[]> {
    if (branches.length === 0) return [];
    const scores = await this.#judge(branches);
    this.#able ||= scores.some(({ value }) => Number.isFinite(value));
    if (!this.#able)
      throw new ServeError(
        'reward_failed',
        `the reward has no score for any of ${scores.length} candidates`,
      );
    return scores.map((score) => (Number.isFinite(score.value) ? score : { ...score, value: NaN }));
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

  /** What a branch scored when it was last judged; null if it was not, or could not be. */
  scoreOf({ id }: Branch): number | null {
    const value = this.#judged.get(id)?.score.value ?? NaN;
    return Number.isFinite(value) ? value : null;
  }

  /**
   * What became of every candidate, by id.
   * @param ranked those that were left, the answers first
   * @param pruned those that were given up, beside those that were judged
   */
  report(ranked: readonly Branch[], answers: number, pruned: readonly Branch[]): CandidateReport[] {
    const left = new Set(ranked.map(({ id }) => id));
    const judged = [...this.#judged.values()].map(({ branch }) => branch);
    const gone = [...new Set([...judged, ...pruned])].filter(({ id }) => !left.has(id));
    const shown = ranked.slice(0, MOST_REPORTED);
    return [
      ...shown.map((branch, rank) => this.#reportOf(branch, fateOf(branch, rank, answers))),
      ...gone.slice(0, MOST_REPORTED).map((branch) => this.#reportOf(branch, 'pruned')),
    ].toSorted((a, b) => a.index - b.index);
  }

  #reportOf(branch: Branch, fate: 'selected' | 'completed' | 'pruned'): CandidateReport {
    const judged = this.#judged.get(branch.id);
    const value = judged?.score.value ?? null;
    const failed = value !== null && !Number.isFinite(value);
    return {
      index: branch.id,
      score: failed ? null : value,
      parts: finite(judged?.score.parts ?? {}),
      tokens: branch.tokens.length,
      status: failed ? 'failed' : fate,
      prunedAt: fate === 'pruned' ? (judged?.tokens ?? branch.tokens.length) : null,
    };
  }

  async #judge(branches: readonly Branch[]): Promise<readonly Score[]> {
    const { reward, prompt } = this.#options;
    if (reward === null) throw new Error('the plan has no reward');
    const batch = branches.map((branch) => candidateOf(branch, prompt));
    const scores = await judged(reward, batch, this.#options);
    branches.forEach((branch, i) => {
      const score = scores[i]!;
      this.tokens += score.tokens ?? 0;
      this.#judged.set(branch.id, { branch, score, tokens: branch.tokens.length });
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
  { signal, onBug }: Pick<JudgeOptions, 'signal' | 'onBug'>,
): Promise<readonly Score[]> {
  try {
    return await unless(signal, reward.score(batch));
  } catch (error) {
    if (signal.aborted || error instanceof ServeError) throw error;
    onBug(error);
    throw new ServeError('reward_failed', 'a reward model failed on this request');
  }
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
function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
