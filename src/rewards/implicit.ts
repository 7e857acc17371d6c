/**
 * Density-ratio (implicit) rewards: what two language models' log-probs say about a text.
 *   r_t = beta * (log plus(y_t | x, y_<t) - log minus(y_t | x, y_<t))
 * DPO, implicit process rewards, CDR, TreeBoN and contrastive scores are this with different pairs and sums (METHODS.md 2).
 */

import { sum } from '../core/math.ts';
import type { Vocabulary } from '../core/model.ts';
import type { TokenScore } from '../core/reward.ts';
import { spell } from '../core/text.ts';
import type { Token } from '../core/tree.ts';

type Numbers = ArrayLike<number>;

/** r_t, one per token. */
export const tokenRewards = (plus: Numbers, minus: Numbers, beta: number): number[] =>
  Array.from(plus, (logProb, t) => beta * (logProb - minus[t]!));

/** Numbers of the last of `tokens`, each beside its token: the first of all may have had nothing before it. */
export function tokenScores(
  tokens: readonly Token[],
  numbers: Numbers,
  vocabulary: Vocabulary,
): TokenScore[] {
  const from = tokens.length - numbers.length;
  return Array.from(numbers, (score, i) => {
    const id = tokens[from + i]!;
    return { id, token: spell(id, vocabulary), score };
  });
}

/** sum_{s <= t} r_s: the reward of each prefix. */
export function cumulative(rewards: Numbers): number[] {
  let total = 0;
  return Array.from(rewards, (reward) => (total += reward));
}

/** sum_t r_t / T: without it long answers win or lose by their length alone. */
export const lengthMean = (rewards: Numbers): number => sum(Array.from(rewards)) / rewards.length;

/**
 * Each step's own reward, sum of r_t over its tokens.
 * @param ends index of the last token of each step, ascending
 */
export const stepRewards = (rewards: Numbers, ends: readonly number[]): number[] => {
  const prefix = cumulative(rewards);
  return ends.map((end, i) => prefix[end]! - (i === 0 ? 0 : prefix[ends[i - 1]!]!));
};

/** sum_k r_k / k, k from 1: early tokens count most (TreeBoN). */
export const decaying = (rewards: Numbers): number =>
  sum(Array.from(rewards, (reward, i) => reward / (i + 1)));
