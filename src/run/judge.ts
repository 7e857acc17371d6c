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
  /** Of what a reward failed with: clients see only that it did. */
  readonly onBug: (error: unknown) => void;
}

export class Judge {
  readonly #options: JudgeOptions;
  readonly #judged = new Map<number, Judged>();
  /** Tokens that reward models have read for this tree. */
  tokens = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  /** @throws ServeError reward_failed if no branch could be judged; the signal's reason if it aborts first */
  async score(branches: readonly Branch[]): Promise<readonly Score[]> {
    if (branches.length === 0) return [];
    const scores = await this.#ask(branches.map((branch) => this.#candidate(branch)));
    branches.forEach((branch, i) => {
      const score = scores[i]!;
      this.tokens += score.tokens ?? 0;
      this.#judged.set(branch.id, { branch, score, tokens: branch.tokens.length });
    });
    if (!scores.some(({ value }) => Number.isFinite(value)))
      throw new ServeError(
        'reward_failed',
        `the reward has no score for any of ${scores.length} candidates`,
      );
    return scores.map((score) => (Number.isFinite(score.value) ? score : { ...score, value: NaN }));
  }

  /** What became of every candidate, by id. @param ranked those that were left, the answers first */
  report(ranked: readonly Branch[], answers: number): CandidateReport[] {
    const left = new Set(ranked.map(({ id }) => id));
    const gone = [...this.#judged.values()].filter(({ branch }) => !left.has(branch.id));
    return [
      ...ranked.map((branch, rank) => this.#reportOf(branch, rank < answers ? 'selected' : null)),
      ...gone.slice(0, MOST_REPORTED).map(({ branch }) => this.#reportOf(branch, 'pruned')),
    ].toSorted((a, b) => a.index - b.index);
  }

  #reportOf(branch: Branch, fate: 'selected' | 'pruned' | null): CandidateReport {
    const judged = this.#judged.get(branch.id);
    const value = judged?.score.value ?? null;
    const failed = value !== null && !Number.isFinite(value);
    return {
      index: branch.id,
      score: failed ? null : value,
      parts: finite(judged?.score.parts ?? {}),
      tokens: branch.tokens.length,
      status: failed ? 'failed' : (fate ?? 'completed'),
      prunedAt: fate === 'pruned' ? (judged?.tokens ?? null) : null,
    };
  }

  #candidate(branch: Branch): Candidate {
    const { text: prompt, messages, readings } = this.#options.prompt;
    const { id, text, tokens, finish } = branch;
    const complete = finish === 'stop';
    return { prompt, messages, readings, text, tokens: [...tokens], branch: id, complete };
  }

  async #ask(batch: readonly Candidate[]): Promise<readonly Score[]> {
    const { reward, signal, onBug } = this.#options;
    if (reward === null) throw new Error('the plan has no reward');
    try {
      return await unless(signal, reward.score(batch));
    } catch (error) {
      if (signal.aborted || error instanceof ServeError) throw error;
      onBug(error);
      throw new ServeError('reward_failed', 'a reward model failed on this request');
    }
  }
}

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
