/** The verbs that strategies share. A score that is not a number disqualifies its branch. */

import type { Score } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';

export const alive = (branch: Branch): boolean => branch.finish === null;

/** Best score first; the earlier one on a tie, those without a score last. */
export function ranked(branches: readonly Branch[], scores: readonly Score[]): Branch[] {
  const values = scores.map(({ value }) => numberOr(value, -Infinity));
  const order = [...branches.keys()].toSorted((a, b) => descending(values[a]!, values[b]!));
  return order.map((i) => branches[i]!);
}

/** Subtraction would make NaN of two infinities. */
export const descending = (a: number, b: number): number => (a === b ? 0 : b > a ? 1 : -1);

export const numberOr = (value: number, otherwise: number): number =>
  Number.isNaN(value) ? otherwise : value;

/** log sum exp of values that may be -Infinity. */
export function logSumExp(values: readonly number[]): number {
  const most = Math.max(...values);
  if (most === -Infinity) return most;
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

/** exp(v_i) / sum_j exp(v_j). */
export function softmax(values: readonly number[]): number[] {
  const total = logSumExp(values);
  return values.map((value) => Math.exp(value - total));
}

/** The index that u in [0, 1) falls on when each has its weight; weights add up to 1. */
export function pick(weights: readonly number[], u: number): number {
  let left = u;
  for (const [i, weight] of weights.entries()) if ((left -= weight) < 0) return i;
  return weights.findLastIndex((weight) => weight > 0); // rounding left a sliver of u over
}
