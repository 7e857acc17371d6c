/**
 * What a reward's scores are made into before they are combined (METHODS.md 3). Batch-wise, because a mean or a
 * quantile may be that of the request's own candidates. A score that is NaN stays so, and counts in no figure.
 */

import { logSigmoid, quantile, sum } from '../core/math.ts';
import type { Reward, Scale, Score, Transform } from '../core/reward.ts';
import { bradleyTerry, winRates } from './tournament.ts';

/** Mean and population deviation of what can be counted. */
export function scaleOf(values: readonly number[]): Scale {
  const finite = values.filter(Number.isFinite);
  const mean = sum(finite) / finite.length;
  const variance = sum(finite.map((x) => (x - mean) ** 2)) / finite.length;
  return { mean, std: Math.sqrt(variance) };
}

/** (x - mean) / std; 0 where all are equal. */
const zscore = (x: number, { mean, std }: Scale): number => (std > 0 ? (x - mean) / std : x - mean);

/** Clip (2410.15115): min(r - eta, 0), so that a good step repeated earns nothing. */
export const clip = (r: number, eta: number): number => Math.min(r - eta, 0);

/** Delta (2410.15115): r_k - r_{k+1}, then r_{K-1}, then 0: a sum that telescopes to the first step's score. */
export const deltas = (steps: readonly number[]): number[] =>
  steps.map((r, k) => (k < steps.length - 2 ? r - steps[k + 1]! : k === steps.length - 2 ? r : 0));

/**
 * Scores transformed, their raw values kept in `parts`.
 * log_sigmoid (LSC, 2402.00742): sums of log sigmoid(r_i - r_ref,i(x)) are log-probabilities of being good in all.
 */
export function transformed(reward: Reward, transform: Transform): Reward {
  const { name, reads } = reward;
  return {
    name,
    reads,
    async score(batch) {
      const scores = await reward.score(batch);
      if (transform.kind === 'clip')
        return scores.map((score) => ({ ...score, value: clip(score.value, transform.eta) }));
      if (transform.kind === 'win_rate') {
        const rates = amongNumbers(scores, (values) => winRates(bradleyTerry(values)));
        return scores.map((score, i) => ({ ...score, value: rates[i]! }));
      }
      const reference =
        typeof transform.reference === 'number'
          ? transform.reference
          : quantile(
              scores.map(({ value }) => value),
              transform.reference.quantile,
            );
      return scores.map(({ value, parts, ...score }) => ({
        ...score,
        value: logSigmoid(value - reference),
        parts: { ...parts, [`${name}.reference`]: reference },
      }));
    },
  };
}

/** Scores in units of deviations from a mean: stored ones, or the candidates' own; or their ranks. */
export function normalised(reward: Reward, scale: Scale | 'pool' | 'rank'): Reward {
  return mapped(reward, (scores) => {
    if (scale === 'rank') return amongNumbers(scores, ranks);
    const by = scale === 'pool' ? scaleOf(scores.map(({ value }) => value)) : scale;
    return scores.map(({ value }) => zscore(value, by));
  });
}

/** Places from 1, the smallest first; equal ones share the mean of theirs. */
const ranks = (values: readonly number[]): number[] =>
  values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });

/** What is made of those that have a score, each in its place; NaN for the others. */
function amongNumbers(
  scores: readonly Score[],
  of: (values: readonly number[]) => readonly number[],
): number[] {
  const known = scores.map(({ value }) => value).filter((value) => !Number.isNaN(value));
  const made = of(known);
  let at = 0;
  return scores.map(({ value }) => (Number.isNaN(value) ? NaN : made[at++]!));
}

/** min(r, most). */
export const capped = (reward: Reward, most: number): Reward =>
  mapped(reward, (scores) => scores.map(({ value }) => Math.min(value, most)));

const mapped = (
  reward: Reward,
  valuesOf: (scores: readonly Score[]) => readonly number[],
): Reward => ({
  name: reward.name,
  reads: reward.reads,
  async score(batch) {
    const scores = await reward.score(batch);
    const values = valuesOf(scores);
    return scores.map((score, i) => ({ ...score, value: values[i]! }));
  },
});
