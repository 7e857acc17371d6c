/**
 * Best-of-N that draws one round after another, and when it has drawn enough.
 * threshold: when an answer scores as much.
 * self_evaluation (Manvi et al. 2024): when the policy gives an answer such a probability that a fresh start would not be
 * better.
 * cost (optimal stopping): when what one more answer can be expected to add to the best of those drawn is less than it
 * costs. Above u, the largest reward outside the best k of n, rewards are taken to fall off exponentially, with the mean
 * excess m of those k; then
 *   E[max(R - best, 0)] = (k / n) m exp(-(best - u) / m),  k = floor(n / 2).                           (1)
 */

import type { z } from 'zod';
import { either, integer, list, number, strict } from '../core/fields.ts';
import { sum } from '../core/math.ts';
import type { Score } from '../core/reward.ts';
import type { SelfQuestion } from '../core/self_evaluation.ts';
import type { Search, StrategyContext } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { selfEvaluated, selfFields, selfQuestion } from './self_evaluation.ts';

export interface Adaptive {
  readonly threshold: number;
  /** Null: the policy is not asked. */
  readonly self: { readonly question: SelfQuestion; readonly probability: number } | null;
  /** 0: one more is always worth it. */
  readonly cost: number;
  readonly min: number;
  readonly round: number;
  readonly temperatures: readonly number[];
}

/** Whether what answers of different rounds score is compared, with each other or with a number. */
export const weighs = ({ threshold, cost }: Adaptive): boolean => threshold < Infinity || cost > 0;

/** Round after round, until one more is not worth it. */
export async function* rounds(
  tree: Tree,
  all: readonly Branch[],
  adaptive: Adaptive,
  score: Tree['score'],
): Search {
  const scores: Score[] = [];
  const chances: number[] = [];
  while (scores.length < all.length) {
    const round = all.slice(scores.length, scores.length + adaptive.round);
    const temperature =
      adaptive.temperatures[scores.length / adaptive.round] ?? adaptive.temperatures.at(-1);
    const sampling = temperature === undefined ? {} : { sampling: { temperature } };
    await tree.extend(round, { tokens: tree.maxTokens, ...sampling });
    scores.push(...(await score(round)));
    if (adaptive.self !== null)
      chances.push(...(await selfEvaluated(tree, round, adaptive.self.question)));
    if (!worthOneMore(adaptive, scores, chances)) break;
    yield all; // those not yet begun too: nothing is certain before they are
  }
  return all.slice(0, scores.length);
}

/**
 * Whether to draw another round. Answers without a score say nothing.
 * @param chances what the policy says of its answers so far; none: it was not asked
 */
function worthOneMore(
  { threshold, self, cost, min }: Adaptive,
  scores: readonly Score[],
  chances: readonly number[],
): boolean {
  const rewards = scores.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  if (rewards.some((reward) => reward >= threshold)) return false;
  if (chances.some((chance) => chance >= self!.probability)) return false;
  return cost === 0 || rewards.length < min || expectedImprovement(rewards) >= cost;
}

/** (1). @param rewards at least two. 0 where they are all the same. */
export function expectedImprovement(rewards: readonly number[]): number {
  const n = rewards.length;
  const sorted = rewards.toSorted((a, b) => b - a);
  const k = Math.floor(n / 2);
  const u = sorted[k]!;
  const m = sum(sorted.slice(0, k).map((r) => r - u)) / k;
  return m === 0 ? 0 : (k / n) * m * Math.exp(-(sorted[0]! - u) / m);
}

export const adaptiveField = strict({
  /** A score that is good enough. */
  threshold: number(-1e6, 1e6).nullish(),
  /** Of one more answer, in the reward's units. */
  cost: number(0, 1e6).nullish(),
  self_evaluation: strict({ probability: number(0, 1), ...selfFields }).nullish(),
  min: either(integer(2, 65_536), 4),
  /** Answers drawn between two looks. */
  round: either(integer(1, 64), 1),
  /** Of each round, the last for all that follow; none: the request's. */
  temperatures: either(list(number(0, 2), 64), []),
}).refine(({ threshold, cost, self_evaluation: self }) => [threshold, cost, self].some(isGiven), {
  message: 'an object with a threshold, a self_evaluation or a cost',
});

const isGiven = (field: unknown): boolean => field !== null && field !== undefined;

export function adaptiveOf(
  wire: z.output<typeof adaptiveField>,
  context: StrategyContext,
): Adaptive {
  const { threshold, cost, self_evaluation: self, ...rest } = wire;
  return {
    ...rest,
    threshold: threshold ?? Infinity,
    cost: cost ?? 0,
    self: self
      ? {
          question: selfQuestion(self, 'adaptive.self_evaluation', context),
          probability: self.probability,
        }
      : null,
  };
}
