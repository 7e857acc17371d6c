/** The verbs that strategies share. */

import type { Score } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';

export const alive = (branch: Branch): boolean => branch.finish === null;

/** Best score first; the earlier one on a tie. */
export function ranked(branches: readonly Branch[], scores: readonly Score[]): Branch[] {
  const order = [...branches.keys()].toSorted(
    (a, b) => scores[b]!.value - scores[a]!.value || a - b,
  );
  return order.map((i) => branches[i]!);
}

/** An index drawn from softmax(weights) with a uniform number in [0, 1). */
export function pick(weights: readonly number[], uniform: number): number {
  const shares = softmax(weights);
  let left = uniform;
  for (const [i, share] of shares.entries()) if ((left -= share) < 0) return i;
  return shares.findLastIndex((share) => share > 0); // rounding left a rest
}

export function softmax(weights: readonly number[]): number[] {
  const most = Math.max(...weights);
  const powers = weights.map((weight) => Math.exp(weight - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
