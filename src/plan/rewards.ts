/** What a request's candidates are judged by, made valid: `rewards`, `ensemble`, `constraints` and `length` of its alignment. */

import { ServeError } from '../core/errors.ts';
import { show, wrong } from '../core/fields.ts';
import type {
  Constraint,
  Ensemble,
  LengthRule,
  RewardPlan,
  RewardUse,
  Scale,
  Transform,
} from '../core/reward.ts';
import type { PartialFigure } from '../core/strategy.ts';
import type { Catalog, ModelCard } from './catalog.ts';
import type { AlignmentWire } from './schema.ts';

type Wires = Pick<AlignmentWire, 'rewards' | 'ensemble' | 'constraints' | 'length'>;
type RewardWire = NonNullable<AlignmentWire['rewards']>[number];
type EnsembleWire = NonNullable<AlignmentWire['ensemble']>;

/** A reward model of the plan, and the field that names it. */
export interface RewardSpec {
  readonly card: ModelCard;
  readonly at: string;
}

export interface Rewards {
  readonly plan: RewardPlan;
  /** Each model once: members, then those that only bound. */
  readonly specs: readonly RewardSpec[];
}

/** Null where nothing is asked for. A reward of weight zero is left out: no model is run for it. */
export function parseRewards(wire: Wires, catalog: Catalog): Rewards | null {
  const given = wire.rewards ?? [];
  const named = given.map((one, i) => {
    const at = `alignment.rewards[${i}]`;
    return { wire: one, at, card: rewardCard(one.model, `${at}.model`, catalog) };
  });
  const members = named.filter((member) => member.wire.weight !== 0);
  if (members.length === 0) {
    refuseWithout(wire);
    return null;
  }
  const ensemble = wire.ensemble ?? null;
  const uses = members.map((member) => useOf(member, wire));
  if (ensemble !== null) refuseNegative(uses, members);
  const bounds = (wire.constraints ?? []).map((one, i) =>
    boundOf(one, `alignment.constraints[${i}]`, uses, catalog),
  );
  const specs = [
    ...members.map(({ card, at }) => ({ card, at: `${at}.model` })),
    ...bounds.map(({ card, at }) => ({ card, at })),
  ];
  const known = new Set<string>();
  return {
    plan: {
      uses,
      ensemble: ensemble === null ? null : ensembleOf(ensemble),
      constraints: bounds.flatMap(({ constraint }) => constraint ?? []),
      length: wire.length ? lengthOf(wire.length) : null,
    },
    specs: specs.filter(({ card }) => !known.has(card.name) && known.add(card.name)),
  };
}

/** 1 - 0.9 is not quite 0.1. */
const ROUNDING = 1e-9;

/** The score that this share of base samples stays below, by linear interpolation; null where none is stored. */
export function storedQuantile({ stats }: ModelCard, share: number): number | null {
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
  const { uses, length, constraints } = plan;
  const [use] = uses;
  return (share) => {
    const alone = uses.length === 1 && length === null && constraints.length === 0;
    if (!alone || use === undefined || use.transform !== null || use.scale === 'pool') return null;
    const score = storedQuantile(specs[0]!.card, use.weight > 0 ? share : 1 - share);
    if (score === null) return null;
    const { mean, std } = use.scale ?? { mean: 0, std: 1 };
    const value = (Math.min(score, use.cap ?? Infinity) - mean) / std;
    return plan.ensemble === null ? use.weight * value : value;
  };
}

/** Known where one reward alone decides, higher being better: how it is scaled does not matter. */
export function planPartial({ plan, specs }: Rewards): readonly PartialFigure[] {
  const { uses, length, constraints } = plan;
  const alone = uses.length === 1 && length === null && constraints.length === 0;
  return alone && uses[0]!.weight > 0 ? (specs[0]!.card.partial ?? []) : [];
}

function refuseWithout(wire: Wires): void {
  for (const part of ['ensemble', 'constraints', 'length'] as const) {
    const value = wire[part];
    if (!value || (Array.isArray(value) && value.length === 0)) continue;
    throw wrong(`alignment.${part}`, value, 'left out where alignment.rewards names no reward');
  }
}

function refuseNegative(uses: readonly RewardUse[], members: readonly { at: string }[]): void {
  const i = uses.findIndex(({ weight }) => weight < 0);
  if (i < 0) return;
  throw wrong(`${members[i]!.at}.weight`, uses[i]!.weight, 'positive in an ensemble');
}

function rewardCard(name: string, at: string, catalog: Catalog): ModelCard {
  const card = catalog.models.get(name);
  if (card?.role === 'reward') return card;
  const rewards = [...catalog.models.values()].filter(({ role }) => role === 'reward');
  const what = card ? `a ${card.role} model, which does not judge` : 'not a model of this server';
  throw new ServeError(
    'model_not_found',
    `${at} is ${show(name)}, ${what}; rewards here: ${rewards.map((one) => one.name).join(', ')}`,
    at,
  );
}

interface MemberWire {
  readonly wire: RewardWire;
  readonly at: string;
  readonly card: ModelCard;
}

function useOf({ wire, at, card }: MemberWire, { ensemble, constraints }: Wires): RewardUse {
  const { transform } = wire;
  const caps = (constraints ?? []).filter(({ reward }) => reward === card.name);
  const cap = Math.min(...caps.map((one) => one.cap ?? Infinity));
  return {
    model: card.name,
    weight: wire.weight ?? 1,
    cap: cap === Infinity ? null : cap,
    scale: scaleOf(transform, ensemble ?? null, card, at),
    transform: transform && transform.type !== 'zscore' ? transformOf(transform, card, at) : null,
  };
}

/** A transform brings its own scale; members without one share the ensemble's. */
function scaleOf(
  transform: RewardWire['transform'],
  ensemble: EnsembleWire | null,
  card: ModelCard,
  at: string,
): Scale | 'pool' | null {
  if (transform?.type === 'zscore') {
    return transform.of === 'stored' ? storedScale(card, `${at}.transform.of`) : 'pool';
  }
  if (transform || ensemble === null || ensemble.normalize === 'none') return null;
  if (ensemble.normalize === 'pool') return 'pool';
  return storedScale(card, 'alignment.ensemble.normalize');
}

function storedScale({ name, stats }: ModelCard, at: string): Scale {
  if (stats && stats.std > 0) return { mean: stats.mean, std: stats.std };
  throw wrong(at, 'stored', `"pool" or left to others here: ${name} stores no mean and deviation`);
}

type OtherTransform = Exclude<NonNullable<RewardWire['transform']>, { type: 'zscore' }>;

/** The paper's reference for a goal to be good at: the 85th percentile of base samples. */
const REFERENCE = 0.85;

function transformOf(wire: OtherTransform, card: ModelCard, at: string): Transform {
  switch (wire.type) {
    case 'clip':
      return { kind: 'clip', eta: wire.eta ?? 0 };
    case 'log_sigmoid': {
      const reference = wire.reference ?? { quantile: REFERENCE };
      if (typeof reference === 'number') return { kind: 'log_sigmoid', reference };
      const { quantile, of } = reference;
      if (of !== 'stored') return { kind: 'log_sigmoid', reference: { quantile } };
      const stored = storedQuantile(card, quantile);
      const where = `${at}.transform.reference.quantile`;
      if (stored === null)
        throw wrong(
          where,
          quantile,
          `among the quantiles that ${card.name} stores, or of the pool`,
        );
      return { kind: 'log_sigmoid', reference: stored };
    }
    default:
      return wire satisfies never;
  }
}

function boundOf(
  wire: NonNullable<AlignmentWire['constraints']>[number],
  at: string,
  uses: readonly RewardUse[],
  catalog: Catalog,
): RewardSpec & { readonly constraint: Constraint | null } {
  const card = rewardCard(wire.reward, `${at}.reward`, catalog);
  const [min, max, cap] = [wire.min ?? null, wire.max ?? null, wire.cap ?? null];
  if (min === null && max === null && cap === null)
    throw wrong(at, wire, 'an object with a min, a max or a cap');
  if (min !== null && max !== null && min > max)
    throw wrong(`${at}.min`, min, `at most the max, which is ${max}`);
  if (cap !== null && !uses.some(({ model }) => model === card.name))
    throw wrong(`${at}.cap`, cap, 'left out for a reward that is not among alignment.rewards');
  const bounded = min !== null || max !== null;
  const constraint = { model: card.name, min: min ?? -Infinity, max: max ?? Infinity };
  return { card, at: `${at}.reward`, constraint: bounded ? constraint : null };
}

const ensembleOf = (wire: EnsembleWire): Ensemble => ({
  aggregate: wire.aggregate ?? 'mean',
  lambda: wire.lambda ?? 0.5,
  variance: wire.variance ?? 'population',
});

const lengthOf = (wire: NonNullable<AlignmentWire['length']>): LengthRule => ({
  mode: wire.mode ?? 'over',
  target: wire.target ?? 200,
  lambda: wire.lambda ?? 0.01,
  repetition: wire.repetition ?? 0,
});
