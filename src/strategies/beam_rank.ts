/**
 * What a beam ranks by: continuations by S - penalty + w R, finished hypotheses by S / length^penalty + w R; and when no
 * live one may still enter the finished ones.
 */

import type { Branch, Peeked, Token, Tree } from '../core/tree.ts';
import { descending } from './select.ts';

/** How hypotheses of different lengths compare, and when a group stops. */
export interface Ranking {
  /** > 0 favours long answers, < 0 short ones. */
  readonly penalty: number;
  /** generated: end token included. full: prompt and answer, end token left out (vLLM, older Hugging Face). */
  readonly basis: 'generated' | 'full';
  /**
   * true: stop at k finished. false: when no live one wins at its length of now. never: nor at the longest it may reach.
   * Both take a live one's S and R as they are now: none that could win is lost where S only falls (no token adds more
   * than 0) and w is 0. A ratio, a negative weight, a value guide, a bias above 0, a negative penalty or a reward may lift
   * one later: then it is a guess.
   */
  readonly early: boolean | 'never';
}

export interface Live {
  readonly branch: Branch;
  /** S. */
  readonly sum: number;
  /** w R; 0 without a reward. */
  readonly reward: number;
}

export interface Finished {
  readonly branch: Branch;
  readonly score: number;
}

/** A hypothesis that could be: the `parent`th live one, and a token. */
export interface Continuation {
  readonly parent: number;
  readonly next: Peeked;
  readonly sum: number;
  /** Off its rank, at this step only. */
  readonly penalty: number;
  readonly reward: number;
}

const rankOf = ({ sum, penalty, reward }: Continuation): number => sum - penalty + reward;
export const byRank = (a: Continuation, b: Continuation): number =>
  descending(rankOf(a), rankOf(b));

export interface Chosen {
  readonly live: readonly Continuation[];
  readonly ended: readonly Continuation[];
}

/**
 * The n best continuations of a group's hypotheses before their rewards are known: each stands with its parent's.
 * @param penalty subtracted where continuations of this step are ranked, and only there
 */
export function bestOf(
  live: readonly Pick<Live, 'sum' | 'reward'>[],
  nexts: readonly (readonly Peeked[])[],
  n: number,
  penalty: (token: Token) => number,
): Continuation[] {
  const best: Continuation[] = [];
  for (const [parent, tokens] of nexts.entries()) {
    const { sum: before, reward } = live[parent]!;
    for (const next of tokens) {
      const sum = before + next.logprob + next.logZ + next.bias;
      const off = penalty(next.token);
      const rank = sum - off + reward;
      if (best.length === n && !(rank > rankOf(best[n - 1]!))) continue; // most do not come in: nothing is made of them
      let at = best.length;
      while (at > 0 && rank > rankOf(best[at - 1]!)) at--;
      best.splice(at, 0, { parent, next, sum, reward, penalty: off });
      if (best.length > n) best.pop();
    }
  }
  return best;
}

/** One step of a group of k: which of its 2k best continuations live on, and which end. */
export const chosenOf = (best: readonly Continuation[], k: number): Chosen => ({
  live: best.filter(({ next }) => !next.ends).slice(0, k),
  ended: best.slice(0, k).filter(({ next }) => next.ends),
});

/** S / length^penalty. */
export const normalised = (sum: number, length: number, penalty: number): number =>
  sum / length ** penalty;

/** @param tokens generated, the end token included if the answer `ended` with one */
export const lengthOf = (
  promptTokens: number,
  tokens: number,
  ended: boolean,
  basis: Ranking['basis'],
): number => (basis === 'generated' ? tokens : promptTokens + tokens - Number(ended));

/** @param endToken the last token is an end token */
export function scoreOf(
  { promptTokens }: Pick<Tree, 'promptTokens'>,
  { branch, sum, reward }: Live,
  endToken: boolean,
  { penalty, basis }: Ranking,
): number {
  const length = lengthOf(promptTokens, branch.tokens.length, endToken, basis);
  return normalised(sum, length, penalty) + reward;
}

/**
 * Whether no live hypothesis may still enter the finished ones, as far as `early` asks, if neither S nor R rises.
 * @param finished best first
 * @param k most that a group finishes
 */
export function isDone(
  { promptTokens, maxTokens }: Pick<Tree, 'promptTokens' | 'maxTokens'>,
  { live, finished }: { readonly live: readonly Live[]; readonly finished: readonly Finished[] },
  k: number,
  { early, penalty, basis }: Ranking,
): boolean {
  if (finished.length < k) return false;
  if (early === true || live.length === 0) return true;
  const longest = early === 'never' && penalty > 0 ? maxTokens : live[0]!.branch.tokens.length;
  const length = lengthOf(promptTokens, longest, false, basis);
  const reach = live.map(({ sum, reward }) => normalised(sum, length, penalty) + reward);
  return finished.at(-1)!.score >= Math.max(...reach);
}
