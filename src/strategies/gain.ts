/** What best-of-N gains, and what it costs in divergence from the policy (METHODS.md 3). */

import type { Score } from '../core/reward.ts';
import type { Tree } from '../core/tree.ts';

/** What fewer answers would have come to, for `explain`: the expected best of 1, 2, 4, ... and of all of them. */
export function tellGain(tree: Tree, scores: readonly Score[]): void {
  const values = scores.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  for (let n = 1; n < values.length; n *= 2) tree.note('expected_best', expectedBest(values, n));
  if (values.length > 0) tree.note('expected_best', expectedBest(values, values.length));
}

/**
 * Without bias from N >= n scores: E[best of n] = sum_i C(i-1, n-1) / C(N, n) r_(i), r_(1) being the smallest.
 * Of scores that are 1 or 0 it is pass@n.
 */
export function expectedBest(scores: readonly number[], n: number): number {
  const N = scores.length;
  let share = n / N; // of the largest: C(N-1, n-1) / C(N, n)
  let sum = 0;
  scores
    .toSorted((a, b) => b - a)
    .slice(0, N - n + 1)
    .forEach((r, below) => {
      sum += share * r;
      const i = N - below; // its rank from the smallest
      share *= (i - n) / (i - 1);
    });
  return sum;
}

/** KL(best of n || policy) in nats is at most this, and equal where no two answers score the same (METHODS.md 3). */
export const klBound = (n: number): number => Math.log(n) - (n - 1) / n;
