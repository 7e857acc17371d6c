/**
 * Ideal points (PAL, Chen et al. 2024): members' scores place an answer, and a user would have it at u = sum_k w_k P_k, a mixture of
 * prototypes P_k. The nearer, the better: minus the distance, minus its square, or the cosine of the angle between both.
 */

import type { Ensemble } from '../core/reward.ts';

type Nearness = Extract<Ensemble['aggregate'], 'distance' | 'squared_distance' | 'cosine'>;

/**
 * @param values of the members, in the order of `ideal`; NaN if one is
 * @param weights how much each coordinate counts
 */
export function nearness(
  kind: Nearness,
  values: readonly number[],
  ideal: readonly number[],
  weights: readonly number[],
): number {
  const inner = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, x, i) => sum + weights[i]! * x * b[i]!, 0);
  if (kind === 'cosine')
    return inner(values, ideal) / Math.sqrt(inner(values, values) * inner(ideal, ideal));
  const away = values.map((x, i) => x - ideal[i]!);
  const squared = inner(away, away);
  return kind === 'distance' ? -Math.sqrt(squared) : -squared;
}
