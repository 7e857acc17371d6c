/**
 * Constrained selection (METHODS.md 3): maximise a reward among the candidates whose other scores keep their
 * bounds. Where none does, the least violation wins; `parts.violation` says by how much.
 */

import type { Constraint, Reward } from '../core/reward.ts';
import { merged } from './ensemble.ts';

/** A bound on what one reward says. */
interface Bound extends Constraint {
  readonly reward: Reward;
}

/** Infeasible candidates score below all feasible ones of their batch, the lower the more they violate. */
export function constrained(reward: Reward, bounds: readonly Bound[]): Reward {
  const all = [reward, ...bounds.map((bound) => bound.reward)];
  return {
    name: reward.name,
    reads: all.every(({ reads }) => reads === 'prefix') ? 'prefix' : 'complete',
    async score(batch) {
      const [scores, ...others] = await Promise.all(all.map((one) => one.score(batch)));
      const violations = batch.map((_, i) =>
        bounds.reduce((sum, bound, b) => sum + violation(others[b]![i]!.value, bound), 0),
      );
      const floor = Math.min(...scores!.map(({ value }) => value).filter(Number.isFinite));
      return scores!.map((score, i) => {
        const by = violations[i]!;
        const value = by === 0 ? score.value : score.value * 0 + floor - by; // NaN stays NaN
        const said = merged([score, ...others.map((column) => column[i]!)], value);
        return { ...said, parts: { ...said.parts, violation: by } };
      });
    },
  };
}

/** How far outside; NaN if it is not known. */
export const violation = (value: number, { min, max }: Pick<Constraint, 'min' | 'max'>): number =>
  Math.max(0, min - value, value - max);
