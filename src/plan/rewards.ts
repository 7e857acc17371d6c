/** What a request's candidates are judged by, made valid: `rewards`, `ensemble`, `constraints` and `length` of its alignment. */

import { ServeError } from '../core/errors.ts';
import { wrong } from '../core/fields.ts';
import { sum } from '../core/math.ts';
import type {
  Constraint,
  Ensemble,
  Lagrange,
  LengthRule,
  RewardPlan,
  RewardUse,
  Steps,
} from '../core/reward.ts';
import type { Catalog, Limits } from './catalog.ts';
import { scaleOf, transformOf } from './scale.ts';
import { parseMember } from './sources/index.ts';
import { modelSource } from './sources/model.ts';
import { onceEach } from './sources/source.ts';
import type { ParsedMember, ReadingSpec, SourceSpec } from './sources/source.ts';
import type { AlignmentWire, MemberWire } from './wire.ts';

type Wires = Pick<AlignmentWire, 'rewards' | 'ensemble' | 'lagrange' | 'constraints' | 'length'>;
type EnsembleWire = NonNullable<AlignmentWire['ensemble']>;
type ConstraintWire = NonNullable<AlignmentWire['constraints']>[number];

export interface Rewards {
  readonly plan: RewardPlan;
  /** What each use is made of, in the order of `plan.uses`. */
  readonly specs: readonly SourceSpec[];
  /** Each reading once. */
  readonly readings: readonly ReadingSpec[];
}

/** A reward of the request under its id. */
interface Member {
  readonly id: string;
  readonly at: string;
  readonly spec: SourceSpec;
  readonly wire: MemberWire;
}

/** Null where nothing is asked for. A reward of weight zero runs nothing, unless a constraint names it. */
export function parseRewards(wire: Wires, catalog: Catalog): Rewards | null {
  const given = (wire.rewards ?? []).map((raw, i) => {
    const at = `alignment.rewards[${i}]`;
    return { at, ...parseMember(raw, at, catalog) };
  });
  const named = identified(given);
  const weighing = named.filter(({ wire: { weight } }) => weight !== 0);
  if (weighing.length === 0) {
    refuseWithout(wire);
    return null;
  }
  const bounds = (wire.constraints ?? []).map((one, i) =>
    boundOf(one, `alignment.constraints[${i}]`, named, catalog),
  );
  const bounding = bounds.flatMap(({ member, constraint }) => (constraint ? [member] : []));
  const members = [...new Map([...weighing, ...bounding].map((one) => [one.id, one])).values()];
  const uses = members.map((member) => useOf(member, wire, catalog.limits));
  if (wire.ensemble) refuseUnfit(wire.ensemble, uses, members);
  if (wire.lagrange) refuseUncapped(wire, uses);
  return {
    plan: {
      uses,
      ensemble: wire.ensemble ? ensembleOf(wire.ensemble, uses) : null,
      lagrange: wire.lagrange ? lagrangeOf(wire.lagrange) : null,
      constraints: bounds.flatMap(({ constraint }) => constraint ?? []),
      length: wire.length ? lengthOf(wire.length) : null,
    },
    specs: members.map(({ spec }) => spec),
    readings: onceEach(members.flatMap(({ spec }) => spec.readings)),
  };
}

/** Ids that the request gives are kept; the others are their source's name, numbered where it is taken. */
function identified(given: readonly (ParsedMember & { readonly at: string })[]): Member[] {
  const taken = new Set<string>();
  for (const { wire, at } of given) {
    if (!wire.id) continue;
    if (taken.has(wire.id)) throw wrong(`${at}.id`, wire.id, 'an id that no other reward has');
    taken.add(wire.id);
  }
  return given.map((member) => {
    const id = member.wire.id ?? free(member.spec.name, taken);
    taken.add(id);
    return { ...member, id };
  });
}

function free(name: string, taken: ReadonlySet<string>): string {
  let id = name;
  for (let i = 2; taken.has(id); i++) id = `${name}#${i}`;
  return id;
}

function refuseWithout(wire: Wires): void {
  for (const part of ['ensemble', 'lagrange', 'constraints', 'length'] as const) {
    const value = wire[part];
    if (!value || (Array.isArray(value) && value.length === 0)) continue;
    throw wrong(`alignment.${part}`, value, 'left out where alignment.rewards names no reward');
  }
}

/** Shares of a mean must be positive; those who are not in the ensemble are added to it, with any weight. */
function refuseUnfit(
  { members: named }: EnsembleWire,
  uses: readonly RewardUse[],
  members: readonly Member[],
): void {
  (named ?? []).forEach((name, i) => {
    if (uses.some(({ id, weight }) => id === name && weight !== 0)) return;
    const ids = uses.map(({ id }) => id).join(', ');
    throw wrong(`alignment.ensemble.members[${i}]`, name, `the id of a weighed reward: ${ids}`);
  });
  const i = uses.findIndex(({ id, weight }) => weight < 0 && (named?.includes(id) ?? true));
  if (i < 0) return;
  throw wrong(`${members[i]!.at}.weight`, uses[i]!.weight, 'positive in an ensemble');
}

function refuseUncapped({ lagrange, ensemble }: Wires, uses: readonly RewardUse[]): void {
  if (ensemble) throw wrong('alignment.lagrange', lagrange, 'left out beside alignment.ensemble');
  if (uses.every(({ cap }) => cap === null))
    throw wrong('alignment.lagrange', lagrange, 'beside a constraint with a cap: its proxy point');
}

function useOf(
  { id, spec, wire, at }: Member,
  { ensemble, constraints }: Wires,
  limits: Limits,
): RewardUse {
  const { transform } = wire;
  const caps = (constraints ?? []).filter(({ reward }) => reward === id);
  const cap = Math.min(...caps.map((one) => one.cap ?? Infinity));
  const weight = wire.weight ?? 1;
  const inside = ensemble?.members?.includes(id) ?? true;
  return {
    id,
    source: spec.source,
    steps: wire.steps ? stepsOf(wire.steps, spec, `${at}.steps`, limits) : null,
    weight,
    cap: cap === Infinity ? null : cap,
    scale: scaleOf(transform, weight !== 0 && inside ? ensemble : null, spec, at),
    transform: transform ? transformOf(transform, spec, at) : null,
  };
}

/** A bound on a member, or on a reward model that is none: it becomes one of weight zero. */
function boundOf(
  wire: ConstraintWire,
  at: string,
  members: readonly Member[],
  catalog: Catalog,
): { readonly member: Member; readonly constraint: Constraint | null } {
  const known = members.find(({ id }) => id === wire.reward);
  const member = known ?? strangerOf(wire.reward, `${at}.reward`, catalog);
  const [min, max, cap] = [wire.min ?? null, wire.max ?? null, wire.cap ?? null];
  if (min === null && max === null && cap === null)
    throw wrong(at, wire, 'an object with a min, a max or a cap');
  if (min !== null && max !== null && min > max)
    throw wrong(`${at}.min`, min, `at most the max, which is ${max}`);
  if (cap !== null && (known?.wire.weight ?? 1) * Number(known !== undefined) === 0)
    throw wrong(`${at}.cap`, cap, 'left out for a reward that is not among alignment.rewards');
  const bounded = min !== null || max !== null;
  const constraint = { member: member.id, min: min ?? -Infinity, max: max ?? Infinity };
  return { member, constraint: bounded ? constraint : null };
}

const strangerOf = (name: string, at: string, catalog: Catalog): Member => ({
  id: name,
  at,
  spec: modelSource(name, at, catalog),
  wire: { weight: 0 },
});

/** Only a source that judges beginnings, by their text alone, can judge steps. */
function stepsOf(
  { until, transform, aggregate }: NonNullable<MemberWire['steps']>,
  { name, reads, stepwise }: SourceSpec,
  at: string,
  { steps: most }: Limits,
): Steps {
  if (reads === 'complete' || !stepwise)
    throw new ServeError(
      'reward_mismatch',
      `${at}: ${name} does not judge beginnings of texts`,
      at,
    );
  return {
    until: until ?? ['\n'],
    most,
    transform:
      transform?.type === 'clip' ? { kind: 'clip', eta: transform.eta ?? 0 } : delta(transform),
    aggregate: aggregate ?? (transform ? 'sum' : 'last'),
  };
}

const delta = (transform: object | null | undefined): { kind: 'delta' } | null =>
  transform ? { kind: 'delta' } : null;

const lagrangeOf = (wire: NonNullable<Wires['lagrange']>): Lagrange => ({
  rate: wire.rate ?? 0.1,
  steps: wire.steps ?? 10,
});

function ensembleOf(wire: EnsembleWire, uses: readonly RewardUse[]): Ensemble {
  const aggregate = wire.aggregate ?? 'mean';
  const ideal = idealOf(wire, uses);
  const near = NEAR.has(aggregate);
  if (near !== (ideal !== null)) {
    const rule = near ? 'prototypes to be near to' : `left out beside ${aggregate}`;
    throw wrong('alignment.ensemble.prototypes', wire.prototypes ?? undefined, rule);
  }
  return {
    members: wire.members ?? null,
    abstain: wire.abstain ?? null,
    aggregate,
    lambda: wire.lambda ?? 0.5,
    variance: wire.variance ?? 'population',
    ...(ideal === null ? {} : { ideal }),
  };
}

const NEAR: ReadonlySet<string> = new Set(['distance', 'squared_distance', 'cosine']);

/** The mixture of the prototypes by the user's shares; without shares, of equal ones. */
function idealOf(
  { prototypes, user }: EnsembleWire,
  uses: readonly RewardUse[],
): Record<string, number> | null {
  if (!prototypes) {
    if (user) throw wrong('alignment.ensemble.user', user, 'left out without prototypes');
    return null;
  }
  const ids = uses.map(({ id }) => id);
  prototypes.forEach((point, k) => {
    const stranger = Object.keys(point).find((id) => !ids.includes(id));
    if (stranger !== undefined)
      throw wrong(
        `alignment.ensemble.prototypes[${k}]`,
        stranger,
        `an object by ids of rewards: ${ids.join(', ')}`,
      );
  });
  const shares = user ?? prototypes.map(() => 1);
  const total = sum(shares);
  if (shares.length !== prototypes.length || total === 0)
    throw wrong(
      'alignment.ensemble.user',
      shares,
      `${prototypes.length} shares, not all of them 0`,
    );
  const at = (id: string): number =>
    sum(prototypes.map((point, k) => (shares[k]! / total) * (point[id] ?? 0)));
  return Object.fromEntries(ids.map((id) => [id, at(id)]));
}

const lengthOf = (wire: NonNullable<AlignmentWire['length']>): LengthRule => ({
  mode: wire.mode ?? 'over',
  target: wire.target ?? 200,
  lambda: wire.lambda ?? 0.01,
  repetition: wire.repetition ?? 0,
});
