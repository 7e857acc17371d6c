/** What raw scores are measured by: figures that a manifest stores, those of the request's own candidates, or nothing. */

import { wrong } from '../core/fields.ts';
import type { RewardPlan, RewardUse, Scale, Transform } from '../core/reward.ts';
import type { Schedule } from '../core/strategy.ts';
import type { ModelCard } from './catalog.ts';
import type { Rewards } from './rewards.ts';
import type { SourceSpec } from './sources/source.ts';
import type { AlignmentWire, MemberWire } from './wire.ts';

type TransformWire = NonNullable<MemberWire['transform']>;
type Stored = Pick<SourceSpec, 'name' | 'stats'>;

/** 1 - 0.9 is not quite 0.1. */
const ROUNDING = 1e-9;

/** The score that this share of base samples stays below, by linear interpolation; null where none is stored. */
export function storedQuantile({ stats }: Pick<ModelCard, 'stats'>, share: number): number | null {
  const quantiles = stats?.quantiles ?? [];
  const above = quantiles.findIndex(([at]) => at >= share - ROUNDING);
  if (above < 0) return null;
  const [high, highScore] = quantiles[above]!;
  if (high <= share + ROUNDING) return highScore;
  const below = quantiles[above - 1];
  if (below === undefined) return null;
  const [low, lowScore] = below;
  return lowScore + ((share - low) / (high - low)) * (highScore - lowScore);
}

/** The plan's value at a quantile of base samples: known where one reward alone decides. */
export function planQuantile({ plan, specs }: Rewards): (share: number) => number | null {
  const [use] = plan.uses;
  const known = use?.transform === null && typeof use.scale !== 'string';
  return (share) => {
    if (!known || !decidesAlone(plan)) return null;
    const score = storedQuantile(specs[0]!, use.weight > 0 ? share : 1 - share);
    if (score === null) return null;
    const { mean, std } = use.scale ?? { mean: 0, std: 1 };
    const value = (Math.min(score, use.cap ?? Infinity) - mean) / std;
    return plan.ensemble === null ? use.weight * value : value;
  };
}

/** Known where one reward alone decides, higher being better: how it is scaled does not matter. */
export function planSchedules({ plan, specs }: Rewards): readonly Schedule[] {
  const alone = decidesAlone(plan);
  return alone && plan.uses[0]!.weight > 0 ? (specs[0]!.schedules ?? []) : [];
}

function decidesAlone({ uses, ensemble, lagrange, length, constraints }: RewardPlan): boolean {
  if (uses.length !== 1 || uses[0]!.steps !== null || ensemble?.ideal !== undefined) return false;
  return lagrange === null && length === null && constraints.length === 0;
}

/** A transform brings its own scale; members without one share the ensemble's. @param at path of the member */
export function scaleOf(
  transform: MemberWire['transform'],
  ensemble: AlignmentWire['ensemble'],
  spec: Stored,
  at: string,
): RewardUse['scale'] {
  if (transform?.type === 'rank') return 'rank';
  if (transform?.type === 'zscore') {
    return transform.of === 'stored' ? storedScale(spec, `${at}.transform.of`) : 'pool';
  }
  if (transform || !ensemble || ensemble.normalize === 'none') return null;
  if (ensemble.normalize === 'pool' || ensemble.normalize === 'rank') return ensemble.normalize;
  return storedScale(spec, 'alignment.ensemble.normalize');
}

function storedScale({ name, stats }: Stored, at: string): Scale {
  if (stats && stats.std > 0) return { mean: stats.mean, std: stats.std };
  throw wrong(at, 'stored', `"pool" or left to others here: ${name} stores no mean and deviation`);
}

/** The paper's reference for a goal to be good at: the 85th percentile of base samples. */
const REFERENCE = 0.85;

/** Null for a transform that is a scale. @param at path of the member */
export function transformOf(wire: TransformWire, spec: Stored, at: string): Transform | null {
  switch (wire.type) {
    case 'zscore':
    case 'rank':
      return null;
    case 'win_rate':
      return { kind: 'win_rate' };
    case 'clip':
      return { kind: 'clip', eta: wire.eta ?? 0 };
    case 'log_sigmoid': {
      const reference = wire.reference ?? { quantile: REFERENCE };
      if (typeof reference === 'number') return { kind: 'log_sigmoid', reference };
      const { quantile, of } = reference;
      if (of !== 'stored') return { kind: 'log_sigmoid', reference: { quantile } };
      const stored = storedQuantile(spec, quantile);
      const where = `${at}.transform.reference.quantile`;
      if (stored === null)
        throw wrong(
          where,
          quantile,
          `among the quantiles that ${spec.name} stores, or of the pool`,
        );
      return { kind: 'log_sigmoid', reference: stored };
    }
    default:
      return wire satisfies never;
  }
}
