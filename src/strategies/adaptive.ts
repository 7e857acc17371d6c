/**
 * When best-of-N has drawn enough. threshold (Manvi et al. 2024, with a self-evaluation as the reward): when an answer scores as much.
 * cost (optimal stopping): when what one more answer can be expected to add to the best of those drawn is
 * less than it costs. Above u, the largest reward outside the best k of n, rewards are taken to fall off exponentially, with the
 * mean excess m of those k; then
 *   E[max(R - best, 0)] = (k / n) m exp(-(best - u) / m),  k = floor(n / 2).
 */

import { either, integer, list, number, strict } from '../core/fields.ts';
import type { z } from 'zod';
import type { Score } from '../core/reward.ts';

export const adaptiveField = strict({
  /** A score that is good enough. */
  threshold: number(-1e6, 1e6).nullish(),
  /** Of one more answer, in the reward's units. */
  cost: number(0, 1e6).nullish(),
  min: either(integer(2, 65_536), 4),
  /** Answers drawn between two looks. */
  round: either(integer(1, 64), 1),
  /** Of each round, the last for all that follow; none: the request's. */
  temperatures: either(list(number(0, 2), 64), []),
}).refine(({ threshold, cost }) => (threshold ?? cost ?? null) !== null, {
  message: 'an object with a threshold, or a cost',
});

export type Adaptive = z.output<typeof adaptiveField>;

/** Whether to draw another round. Answers without a score say nothing. */
export function worthOneMore(
  { threshold, cost, min }: Adaptive,
  scores: readonly Score[],
): boolean {
  const rewards = scores.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  if (typeof threshold === 'number' && Math.max(...rewards) >= threshold) return false;
  if (typeof cost !== 'number' || rewards.length < min) return true;
  return expectedImprovement(rewards) >= cost;
}

/** @param rewards at least two. 0 where they are all the same. */
export function expectedImprovement(rewards: readonly number[]): number {
  const n = rewards.length;
  const sorted = rewards.toSorted((a, b) => b - a);
  const k = Math.floor(n / 2);
  const u = sorted[k]!;
  const m = sorted.slice(0, k).reduce((sum, r) => sum + r - u, 0) / k;
  return m === 0 ? 0 : (k / n) * m * Math.exp(-(sorted[0]! - u) / m);
}
