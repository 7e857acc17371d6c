/**
 * Constrained combination (Moskovitz et al. 2023): members that are to stay near their proxy points theta are
 * weighed by multipliers sigmoid(mu_i), which dual steps over the request's own candidates move: down where the
 * candidates' mean is above theta, up where it is below.
 */

import { sigmoid, sum } from '../core/math.ts';
import type { Lagrange, Reward } from '../core/reward.ts';
import { answered, merged, readsOf } from './ensemble.ts';
import type { Member } from './ensemble.ts';

/** A member, and the point beyond which it is not to be trusted; null: it is an objective, and only weighed. */
interface Pointed extends Member {
  readonly theta: number | null;
}

/** sum_i weight_i * sigmoid(mu_i) * (r_i - theta_i), and the objectives' weight_j * r_j. */
export function lagrangian(members: readonly Pointed[], { rate, steps }: Lagrange): Reward {
  return {
    name: 'lagrange',
    reads: readsOf(members),
    async score(batch) {
      const columns = await answered(members, batch);
      const multipliers = columns.map(({ member: { theta }, scores }) => {
        if (theta === null) return null;
        const values = scores.map(({ value }) => value).filter(Number.isFinite);
        let mu = 0;
        for (let i = 0; i < steps; i++) mu = dualStep(mu, values, theta, rate);
        return sigmoid(mu);
      });
      return batch.map((_, i) => {
        let value = 0;
        const points: Record<string, number> = {};
        columns.forEach(({ member: { reward, weight, theta }, scores }, m) => {
          const multiplier = multipliers[m] ?? 1;
          value += weight * multiplier * (scores[i]!.value - (theta ?? 0));
          if (theta !== null) points[`${reward.name}.multiplier`] = multiplier;
        });
        const said = merged(
          columns.map(({ scores }) => scores[i]!),
          value,
        );
        return { ...said, parts: { ...said.parts, ...points } };
      });
    },
  };
}

/** One step of a multiplier's logit. */
export const dualStep = (
  logit: number,
  values: readonly number[],
  theta: number,
  rate: number,
): number => logit - (rate * sum(values.map((value) => value - theta))) / values.length;
