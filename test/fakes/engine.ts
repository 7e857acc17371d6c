/** An engine over fake models, and openings for it. */

import type { Opening } from '../../src/core/engine.ts';
import type { GuideUse } from '../../src/core/guide.ts';
import type { RuleNetwork } from '../../src/core/rule.ts';
import type { Peeked, Sampling, Token } from '../../src/core/tree.ts';
import { DecodeEngine, type EngineOptions } from '../../src/engine/engine.ts';
import { laneWeights } from '../../src/guides/lane_weights.ts';
import { fakeRules } from './rule.ts';
import { fakeModel, fakeVocabulary, type FakeModel } from './model.ts';
import { fakeTails } from './tail.ts';

export const VOCAB = 27;

export const PLAIN: Sampling = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  repetitionPenalty: 1,
  logitBias: [],
};

/** What the fake policy can be steered by. */
const VECTORS = new Map([
  ['calm', Float32Array.of(1, -0.5)],
  ['bright', Float32Array.of(0, 2)],
]);

/** What the policy tells behind its logits where it is asked to. */
const STATES = { from: VOCAB, layers: 3, width: 2 };

/** @param options `states`: the policy tells states of its layers */
export function fakeEngine(
  options: Partial<EngineOptions> & { endBias?: number; states?: boolean } = {},
): {
  engine: DecodeEngine;
  models: Record<'policy' | 'kind' | 'bold', FakeModel>;
} {
  const size = { endBias: options.endBias ?? -1 };
  const models = {
    policy: fakeModel('policy', options.states ? { ...size, states: STATES } : size),
    kind: fakeModel('kind', size),
    bold: fakeModel('bold', size),
  };
  let clock = 0;
  const engine = new DecodeEngine({
    models: new Map(Object.entries(models)),
    tails: fakeTails({ vocab: VOCAB }),
    vocabulary: fakeVocabulary(VOCAB),
    laneWeights,
    vectors: VECTORS,
    ruleOf: fakeRules(fakeVocabulary(VOCAB)),
    classes: [
      { length: 64, rows: 32 },
      { length: 256, rows: 8 },
    ],
    iterationTokens: 64,
    prefixBytes: 1 << 16,
    queue: 64,
    now: () => clock++,
    ...options,
  });
  return { engine, models };
}

export interface Ask {
  readonly prompt?: readonly number[];
  readonly guides?: readonly (readonly [model: string, weight: number])[];
  readonly uses?: readonly GuideUse[];
  readonly maxKl?: number;
  readonly plausibility?: number;
  readonly steering?: Opening['steering'];
  readonly rule?: RuleNetwork | null;
  readonly sampling?: Partial<Sampling>;
  readonly maxTokens?: number;
  readonly stops?: readonly string[];
  readonly seed?: number;
  readonly choice?: number;
  readonly peak?: number;
  readonly budget?: number;
  readonly top?: number;
  readonly extra?: number;
  readonly states?: boolean;
}

export function opening({
  prompt = [1, 2, 3, 4],
  guides = [],
  uses,
  maxKl,
  plausibility = 0,
  steering = [],
  rule = null,
  sampling = {},
  maxTokens = 20,
  stops = [],
  seed = 1,
  choice = 0,
  peak = 1,
  budget = Infinity,
  top = 0,
  extra = 0,
  states = false,
}: Ask = {}): Opening {
  return {
    lanes: [{ model: 'policy', prompt }, ...guides.map(([model]) => ({ model, prompt }))],
    guidance: {
      uses:
        uses ??
        guides.map(([, weight], i) => ({ plus: i + 1, minus: null, weight, entropyAbove: null })),
      combine: 'sum',
      maxKl: maxKl ?? null,
      plausibility,
    },
    steering,
    rule,
    sampling: { ...PLAIN, ...sampling },
    maxTokens,
    extra,
    stops,
    budget,
    peak: { least: peak, most: peak },
    seed: BigInt(seed),
    choice,
    bend: null,
    record: { top, guides: true, states },
    salt: '',
  };
}

/** A next token as a peek shows it. */
export const nextOf = (token: Token, logprob = 0, logZ = 0, ends = false): Peeked => ({
  token,
  logprob,
  logZ,
  bias: 0,
  ends,
  draw: { token, logprob, base: logprob, kl: 0, entropy: 0, guides: [], top: [] },
});
