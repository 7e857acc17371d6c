/** The verbs that strategies share. A score that is not a number disqualifies its branch. */

import { ServeError } from '../core/errors.ts';
import type { Score } from '../core/reward.ts';
import type { Branch, Tree } from '../core/tree.ts';

export const noScore = (): ServeError =>
  new ServeError('reward_failed', 'no candidate has a score: the reward gave no number');

export const alive = (branch: Branch): boolean => branch.finish === null;

/**
 * Indices of the k largest values, largest first; the lowest index first on ties. NaN is never among them.
 * @throws ServeError reward_failed if every value is NaN
 */
export function largest(values: readonly number[], k: number): number[] {
  const numbers = [...values.keys()].filter((i) => !Number.isNaN(values[i]!));
  if (numbers.length === 0) throw noScore();
  return numbers.toSorted((a, b) => descending(values[a]!, values[b]!)).slice(0, k);
}

/**
 * The rewards that a step is decided by. NaN disqualifies; where nobody can be judged nobody is: all are 0, and the step is
 * decided without them.
 */
export const rewardsOf = (scores: readonly Score[]): number[] =>
  scores.every(({ value }) => Number.isNaN(value))
    ? scores.map(() => 0)
    : scores.map(({ value }) => value);

/** The k best, best first. Ties go to the earlier branch, so a seed gives one answer. */
export const best = (branches: readonly Branch[], scores: readonly Score[], k: number): Branch[] =>
  largest(rewardsOf(scores), k).map((i) => branches[i]!);

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

/** As many at a time as there is room for. */
export const waves = (branches: readonly Branch[], width: number): Branch[][] =>
  Array.from({ length: Math.ceil(branches.length / width) }, (_, i) =>
    branches.slice(i * width, (i + 1) * width),
  );

/** Tokens that an answer without rivals runs on for, however slow its reader is. */
const PACE = 16;

/** Runs a branch to its end. */
export async function* toTheEnd(
  tree: Tree,
  branch: Branch,
): AsyncGenerator<readonly Branch[], void, void> {
  while (alive(branch)) {
    await tree.extend([branch], { tokens: PACE });
    yield [branch];
  }
}

/** The index that u in [0, 1) falls on when each has its weight; weights add up to 1. */
export function pick(weights: readonly number[], u: number): number {
  let left = u;
  for (const [i, weight] of weights.entries()) if ((left -= weight) < 0) return i;
  return weights.findLastIndex((weight) => weight > 0); // rounding left a sliver of u over
}
