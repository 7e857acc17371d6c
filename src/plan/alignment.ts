/** The `alignment` object made valid: which models guide, from which lanes, by which strategy. */

import type { SteeringUse } from '../core/engine.ts';
import { ServeError } from '../core/errors.ts';
import { check, show, withoutNulls, wrong } from '../core/fields.ts';
import type { Guidance, GuideUse } from '../core/guide.ts';
import type { PlacedRule } from '../rules/compile.ts';
import { strategies } from '../strategies/index.ts';
import { guidesOf } from './catalog.ts';
import type { Catalog, ModelCard, Preset } from './catalog.ts';
import type { Named } from './grant.ts';
import { guideMask, modelGuideSchema, ratioGuideSchema } from './guide_wire.ts';
import type { ValueUse } from './plan.ts';
import type { Addressed } from './request.ts';
import { parseRewards } from './rewards.ts';
import type { Rewards } from './rewards.ts';
import { guideRule } from './rule.ts';
import { onceEach } from './sources/source.ts';
import type { ReadingSpec } from './sources/source.ts';
import { steeringOf } from './steering.ts';
import { parseValueGuide } from './values.ts';
import type { ValueGuide } from './values.ts';
import { alignmentSchema, strategySchema } from './wire.ts';
import type { OwnPrompt } from './wire.ts';

/** What one lane reads: a model, on the request's prompt or on one of its own. */
interface LaneSpec {
  readonly card: ModelCard;
  readonly own: OwnPrompt;
  /** Path of the own prompt, for errors. */
  readonly at: string;
}

export interface Alignment {
  /** [0] is the policy. */
  readonly lanes: readonly LaneSpec[];
  readonly guidance: Guidance;
  /** What is added to the policy's states. */
  readonly steering: readonly SteeringUse[];
  /** For each guide of the request what it rules; null where it is of another kind. */
  readonly rules: readonly (PlacedRule | null)[];
  readonly values: readonly ValueUse[];
  /** How the prompt is read in order to judge, each reading once. */
  readonly readings: readonly ReadingSpec[];
  /** For each guide of the request its place among `guidance.uses`, then `values`; null where it has no weight. */
  readonly guideOrder: readonly (number | null)[];
  /** Null: no candidate is judged. */
  readonly rewards: Rewards | null;
  /** The request names rewards itself, rather than its preset. */
  readonly asksForRewards: boolean;
  /** Guides and rewards that the request names itself, rather than its preset. */
  readonly named: readonly Named[];
  /** Null: left to what else the request says. */
  readonly strategy: { readonly type: string; readonly fields: Record<string, unknown> } | null;
  readonly explain: boolean;
  /** What the search may spend; null: no bound of the request's own. */
  readonly budget: { readonly tokens: number | null; readonly ms: number | null };
}

export function parseAlignment(
  raw: unknown,
  { catalog, policy, preset }: Pick<Addressed, 'catalog' | 'policy' | 'preset'>,
): Alignment {
  const wire = check(alignmentSchema(catalog.limits), withDefaults(raw, preset), 'alignment');
  const steering = steeringOf(wire.steering ?? [], catalog, policy);
  const lanes = new Lanes(policy, steering);
  const { rules, uses, values, order } = parseGuides(wire.guides ?? [], catalog, lanes);
  const guidance = {
    uses,
    combine: wire.combine ?? 'sum',
    maxKl: wire.max_kl ?? null,
    plausibility: wire.plausibility ?? 0,
  } as const;
  refuseZeroTotal(guidance);
  if (values.length > 0 && guidance.maxKl !== null)
    throw wrong('alignment.max_kl', guidance.maxKl, 'left out beside a value guide');
  const rewards = parseRewards(wire, { ...catalog, policy: policy.name }); // who judges itself is whoever answers
  return {
    lanes: lanes.specs,
    guidance,
    steering,
    rules,
    guideOrder: order,
    values: values.map(({ use }) => use),
    readings: onceEach([
      ...(rewards?.readings ?? []),
      ...values.flatMap(({ readings }) => readings),
    ]),
    rewards,
    asksForRewards: rewards !== null && gives(raw, 'rewards'),
    named: namedIn(raw, lanes, rewards, values),
    strategy: strategyOf(wire.strategy),
    explain: wire.explain ?? false,
    budget: { tokens: wire.budget?.tokens ?? null, ms: wire.budget?.ms ?? null },
  };
}

interface Guides extends Pick<Alignment, 'rules'> {
  readonly uses: readonly GuideUse[];
  readonly values: readonly ValueGuide[];
  readonly order: Alignment['guideOrder'];
}

/** Each is a rule, a value guide, or models with a weight. */
function parseGuides(guides: readonly unknown[], catalog: Catalog, lanes: Lanes): Guides {
  const at = (i: number): string => `alignment.guides[${i}]`;
  const rules = guides.map((guide, i) => guideRule(guide, at(i), catalog.limits));
  const parsed = guides.map((guide, i) => {
    if (rules[i] !== null) return null;
    return has(guide, 'value')
      ? parseValueGuide(guide, at(i), catalog)
      : parseGuide(guide, at(i), catalog, lanes);
  });
  const uses = parsed.filter((guide) => guide !== null && 'plus' in guide);
  const values = parsed.filter((guide) => guide !== null && 'readings' in guide);
  const recorded = [...uses, ...values];
  const order = parsed.map((guide) => (guide === null ? null : recorded.indexOf(guide)));
  return { rules, uses, values, order };
}

/** The policy itself may always stand in a ratio, and judge. */
function namedIn(
  raw: unknown,
  { specs: lanes, policy }: Lanes,
  rewards: Rewards | null,
  values: readonly ValueGuide[],
): Named[] {
  const guides = [...lanes, ...values.flatMap(({ readings }) => readings)].map(({ card }) => ({
    card,
    at: 'alignment.guides',
  }));
  const judges =
    gives(raw, 'rewards') || gives(raw, 'constraints') ? (rewards?.readings ?? []) : [];
  const remotes = gives(raw, 'rewards') ? (rewards?.specs ?? []) : [];
  return [
    ...[...(gives(raw, 'guides') ? guides : []), ...judges]
      .filter(({ card }) => card !== policy)
      .map(({ card, at }) => ({ name: card.name, at })),
    ...remotes.flatMap(({ remote }) => remote ?? []),
  ];
}

/** A preset stands in for the parts that the request leaves out. */
function withDefaults(raw: unknown, preset: Preset | null): unknown {
  if (raw === undefined || raw === null) return preset?.alignment ?? {};
  if (typeof raw !== 'object' || Array.isArray(raw)) throw wrong('alignment', raw, 'an object');
  return { ...preset?.alignment, ...withoutNulls(raw) };
}

function strategyOf(raw: unknown): Alignment['strategy'] {
  if (raw === undefined || raw === null) return null;
  const { type, ...fields } = check(strategySchema, raw, 'alignment.strategy');
  return { type: knownStrategy(type), fields: withoutNulls(fields) };
}

const names = (): string => Object.keys(strategies).join(', ');

function knownStrategy(type: string): string {
  if (Object.hasOwn(strategies, type)) return type;
  const { message, param } = wrong('alignment.strategy.type', type, `one of ${names()}`);
  throw new ServeError('strategy_unavailable', message, param);
}

/** Lanes of a request: one per model and prompt, whatever the number of guides that read it. */
class Lanes {
  readonly specs: LaneSpec[];
  readonly #keys: string[];
  readonly policy: ModelCard;

  /** @param steering of the policy; a guide reads its model as it is, the policy's too */
  constructor(policy: ModelCard, steering: readonly SteeringUse[]) {
    this.policy = policy;
    this.specs = [{ card: policy, own: null, at: '' }];
    this.#keys = [steering.length > 0 ? STEERED : laneKey(policy, null)];
  }

  /** Index of the lane of a model on a prompt; a new one if need be. */
  take(card: ModelCard, own: OwnPrompt, at: string): number {
    const key = laneKey(card, own);
    const known = this.#keys.indexOf(key);
    if (known >= 0) return known;
    this.#keys.push(key);
    return this.specs.push({ card, own, at }) - 1;
  }
}

/** The key of no guide's lane. */
const STEERED = 'steered';

const laneKey = (card: ModelCard, own: OwnPrompt): string =>
  JSON.stringify([card.name, own?.system ?? null, own?.text ?? null]);

/** Null for a weight of zero: no model is run for it. */
function parseGuide(raw: unknown, at: string, catalog: Catalog, lanes: Lanes): GuideUse | null {
  if (has(raw, 'plus') || has(raw, 'minus')) {
    const wire = check(ratioGuideSchema(catalog.limits), raw, at);
    const plus = guideCard(wire.plus, `${at}.plus`, catalog, lanes.policy);
    const minus = guideCard(wire.minus, `${at}.minus`, catalog, lanes.policy);
    if (wire.weight === 0) return null;
    return {
      plus: lanes.take(plus, wire.plus_prompt, `${at}.plus_prompt`),
      minus: lanes.take(minus, wire.minus_prompt, `${at}.minus_prompt`),
      weight: wire.weight,
      entropyAbove: guideMask(wire.mask),
    };
  }
  const wire = check(modelGuideSchema(catalog.limits), raw, at);
  const card = guideCard(wire.model, `${at}.model`, catalog, lanes.policy);
  if (wire.weight === 0) return null;
  const plus = lanes.take(card, wire.prompt, `${at}.prompt`);
  return { plus, minus: null, weight: wire.weight, entropyAbove: guideMask(wire.mask) };
}

const has = (raw: unknown, key: string): boolean =>
  typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key);

/** Null means left out. */
const gives = (raw: unknown, key: string): boolean =>
  has(raw, key) && (raw as Record<string, unknown>)[key] !== null;

/** A guide shares the vocabulary of the request's policy: a guide model or a policy, that policy included. */
function guideCard(name: string, at: string, catalog: Catalog, policy: ModelCard): ModelCard {
  const able = guidesOf(catalog, policy);
  const found = able.find((card) => card.name === name);
  if (found) return found;
  const other = catalog.models.get(name);
  const guides = able.map((card) => card.name).join(', ');
  if (other && other.vocabulary !== null)
    throw new ServeError(
      'invalid_value',
      `${at} is ${show(name)}, whose vocabulary is not that of ${policy.name}; its guides here: ${guides}`,
      at,
    );
  const what = other ? `a ${other.role} model, which cannot guide` : 'not a model of this server';
  throw new ServeError(
    'model_not_found',
    `${at} is ${show(name)}, ${what}; guides here: ${guides}`,
    at,
  );
}

/** `mean` divides by the sum of all weights, the policy's 1 included: it must stay positive, also under a mask or a KL bound. */
function refuseZeroTotal({ uses, combine }: Guidance): void {
  const least = uses.reduce(
    (sum, use) => sum + (use.minus === null ? Math.min(0, use.weight) : 0),
    1,
  );
  if (combine === 'sum' || least > 1e-6) return;
  throw new ServeError(
    'invalid_value',
    `negative guide weights add up to ${least - 1}; combine "mean" divides by the sum of all weights and needs them above -1, or use "sum"`,
    'alignment.combine',
  );
}
