/** What a beam ranks by: of continuations S - penalty + w R, of finished hypotheses S / length^penalty. */

import type { Peeked, Token } from '../core/tree.ts';
import { descending } from './select.ts';

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
  live: readonly { readonly sum: number; readonly reward: number }[],
  nexts: readonly (readonly Peeked[])[],
  n: number,
  penalty: (token: Token) => number,
): Continuation[] {
  const all = nexts.flatMap((tokens, parent) =>
    tokens.map((next): Continuation => {
      const { sum: before, reward } = live[parent]!;
      const sum = before + next.logprob + next.logZ + next.bias;
      return { parent, next, sum, reward, penalty: penalty(next.token) };
    }),
  );
  return all.toSorted(byRank).slice(0, n);
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
  basis: 'generated' | 'full',
): number => (basis === 'generated' ? tokens : promptTokens + tokens - Number(ended));
