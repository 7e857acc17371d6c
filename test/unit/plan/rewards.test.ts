import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { parseRewards } from '../../../src/plan/rewards.ts';
import { planQuantile, storedQuantile } from '../../../src/plan/scale.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { catalog as plain } from '../../fakes/catalog.ts';

const preset = {
  name: 'tales:best',
  policy: 'tales',
  alignment: { rewards: [{ model: 'rm-happy-a' }] },
  maxCost: null,
};
const catalog = { ...plain, presets: new Map([[preset.name, preset]]) };
const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const best = { type: 'best_of_n', n: 4 };
const happy = { model: 'rm-happy-a' };

const complete = (alignment: object, fields: object = {}) =>
  parser.completion({ prompt: 'ab', max_tokens: 5, alignment, ...fields }, ambient).plan;
const reward = (alignment: object) =>
  complete({ strategy: best, rewards: [happy], ...alignment }).reward;

function refusal(parse: () => unknown): ServeError {
  try {
    parse();
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('rewards', () => {
  test('are weighed as they are, unless asked otherwise', () => {
    expect(reward({})).toEqual({
      uses: [
        {
          id: 'rm-happy-a',
          source: { kind: 'model', model: 'rm-happy-a' },
          steps: null,
          weight: 1,
          cap: null,
          scale: null,
          transform: null,
        },
      ],
      ensemble: null,
      lagrange: null,
      constraints: [],
      length: null,
    });
    expect(reward({ rewards: [{ ...happy, weight: -2 }] })?.uses[0]).toMatchObject({ weight: -2 });
  });

  test('of weight zero run no model', () => {
    const rewards = [{ ...happy, weight: 0 }, { model: 'rm-late' }];
    expect(reward({ rewards })?.uses).toMatchObject([{ id: 'rm-late' }]);
    const error = refusal(() => reward({ rewards: rewards.slice(0, 1) }));
    expect(error).toMatchObject({ code: 'reward_mismatch', param: 'alignment.rewards' });
  });

  test('read the prompt by their own codec and template', () => {
    const { prompts } = complete({ strategy: best, rewards: [happy, { model: 'rm-late' }] });
    const reading = byteCodec.prompt('ab');
    expect(prompts[0]?.readings).toEqual({ 'rm-happy-a': reading, 'rm-late': reading });
    const messages = [{ role: 'user', content: 'U' }] as const;
    const alignment = { strategy: best, rewards: [happy] };
    const { plan } = parser.chat({ messages, max_tokens: 5, alignment }, ambient);
    expect(plan.prompts[0]?.readings).toEqual({ 'rm-happy-a': byteCodec.chat(messages) });
  });

  test('read the text of a prompt that came as token ids', () => {
    const alignment = { strategy: best, rewards: [happy] };
    const { prompts } = complete(alignment, { prompt: [0, 105, 106] });
    expect(prompts[0]?.readings).toEqual({ 'rm-happy-a': byteCodec.prompt('ab') });
  });

  test('leave no room for an answer they could not read', () => {
    const error = refusal(() =>
      complete({ strategy: best, rewards: [happy] }, { prompt: 'x'.repeat(380), max_tokens: 5 }),
    );
    expect(error.code).toBe('context_length_exceeded');
  });

  test('transform by their own references, the stored ones resolved here', () => {
    const transformOf = (transform: object) =>
      reward({ rewards: [{ ...happy, transform }] })?.uses[0];
    expect(transformOf({ type: 'log_sigmoid' })).toMatchObject({
      scale: null,
      transform: { kind: 'log_sigmoid', reference: { quantile: 0.85 } },
    });
    expect(transformOf({ type: 'log_sigmoid', reference: 2 })?.transform).toMatchObject({
      reference: 2,
    });
    const stored = { type: 'log_sigmoid', reference: { quantile: 0.7, of: 'stored' } };
    const { transform } = transformOf(stored)!;
    expect((transform as { reference: number }).reference).toBeCloseTo(2, 12);
    expect(transformOf({ type: 'clip', eta: 2 })?.transform).toEqual({ kind: 'clip', eta: 2 });
    expect(transformOf({ type: 'zscore' })).toMatchObject({ scale: 'pool', transform: null });
    expect(transformOf({ type: 'zscore', of: 'stored' })?.scale).toEqual({ mean: 1, std: 2 });
  });

  test('are normalised together in an ensemble, but for those that bring a transform', () => {
    const rewards = [happy, { ...happy, transform: { type: 'clip' } }];
    const plan = reward({ rewards, ensemble: { aggregate: 'uwo' } });
    expect(plan?.ensemble).toMatchObject({ aggregate: 'uwo', lambda: 0.5, variance: 'population' });
    expect(plan?.uses.map(({ scale }) => scale)).toEqual([{ mean: 1, std: 2 }, null]);
    const scaleFor = (normalize: string) => reward({ ensemble: { normalize } })?.uses[0]?.scale;
    expect(scaleFor('pool')).toBe('pool');
    expect(scaleFor('none')).toBeNull();
  });

  test('may be bounded and capped, also by a reward that is none of the members', () => {
    const constraints = [
      { reward: 'rm-late', min: 0 },
      { reward: 'rm-happy-a', cap: 2 },
    ];
    const plan = complete({ strategy: best, rewards: [happy], constraints });
    expect(plan.reward?.constraints).toEqual([{ member: 'rm-late', min: 0, max: Infinity }]);
    expect(plan.reward?.uses).toMatchObject([
      { id: 'rm-happy-a', weight: 1, cap: 2 },
      { id: 'rm-late', weight: 0 },
    ]);
    expect(Object.keys(plan.prompts[0]!.readings)).toEqual(['rm-happy-a', 'rm-late']);
  });

  test('are named by an id of their own, and bounded by it', () => {
    const rewards = [{ ...happy, id: 'mood' }, happy, happy, { ...happy, id: 'limit', weight: 0 }];
    const constraints = [{ reward: 'limit', min: 1 }];
    const plan = reward({ rewards, constraints });
    const ids = ['mood', 'rm-happy-a', 'rm-happy-a#2', 'limit'];
    expect(plan?.uses.map(({ id }) => id)).toEqual(ids);
    expect(plan?.constraints).toEqual([{ member: 'limit', min: 1, max: Infinity }]);
    expect(reward({ rewards })?.uses).toHaveLength(3);
  });

  test('pay for length', () => {
    expect(reward({ length: { mode: 'ratio', target: 9, repetition: 2 } })?.length).toEqual({
      mode: 'ratio',
      target: 9,
      lambda: 0.01,
      repetition: 2,
    });
  });
});

const refusals: [alignment: object, code: string, param: string][] = [
  [{ rewards: [{ model: 'nope' }] }, 'model_not_found', 'alignment.rewards[0].model'],
  [{ rewards: [{ model: 'arm-happy' }] }, 'model_not_found', 'alignment.rewards[0].model'],
  [{ rewards: [{}] }, 'invalid_value', 'alignment.rewards[0]'],
  [{ rewards: ['rm-happy-a'] }, 'invalid_value', 'alignment.rewards[0]'],
  [{ rewards: [{ model: 7 }] }, 'invalid_value', 'alignment.rewards[0].model'],
  [{ rewards: [{ ...happy, id: '' }] }, 'invalid_value', 'alignment.rewards[0].id'],
  [
    {
      rewards: [
        { ...happy, id: 'a' },
        { ...happy, id: 'a' },
      ],
    },
    'invalid_value',
    'alignment.rewards[1].id',
  ],
  [
    {
      rewards: [happy, { ...happy, id: 'off', weight: 0 }],
      constraints: [{ reward: 'off', cap: 1 }],
    },
    'invalid_value',
    'alignment.constraints[0].cap',
  ],
  [{ rewards: [{ ...happy, weight: 17 }] }, 'invalid_value', 'alignment.rewards[0].weight'],
  [{ rewards: Array(9).fill(happy) }, 'invalid_value', 'alignment.rewards'],
  [{ rewards: [{ ...happy, colour: 1 }] }, 'unknown_parameter', 'alignment.rewards[0].colour'],
  [
    { rewards: [{ ...happy, transform: { type: 'cube' } }] },
    'invalid_value',
    'alignment.rewards[0].transform.type',
  ],
  [
    {
      rewards: [
        { ...happy, transform: { type: 'log_sigmoid', reference: { quantile: 1, of: 'stored' } } },
      ],
    },
    'invalid_value',
    'alignment.rewards[0].transform.reference.quantile',
  ],
  [
    { rewards: [{ model: 'rm-late', transform: { type: 'zscore', of: 'stored' } }] },
    'invalid_value',
    'alignment.rewards[0].transform.of',
  ],
  [
    { rewards: [{ model: 'rm-late' }], ensemble: {} },
    'invalid_value',
    'alignment.ensemble.normalize',
  ],
  [
    { rewards: [{ ...happy, weight: -1 }], ensemble: {} },
    'invalid_value',
    'alignment.rewards[0].weight',
  ],
  [{ rewards: [], ensemble: {} }, 'invalid_value', 'alignment.ensemble'],
  [{ rewards: [], length: {} }, 'invalid_value', 'alignment.length'],
  [{ ensemble: { aggregate: 'mode' } }, 'invalid_value', 'alignment.ensemble.aggregate'],
  [
    { constraints: [{ reward: 'nope', min: 0 }] },
    'model_not_found',
    'alignment.constraints[0].reward',
  ],
  [{ constraints: [{ reward: 'rm-late' }] }, 'invalid_value', 'alignment.constraints[0]'],
  [
    { constraints: [{ reward: 'rm-late', min: 2, max: 1 }] },
    'invalid_value',
    'alignment.constraints[0].min',
  ],
  [
    { constraints: [{ reward: 'rm-late', cap: 2 }] },
    'invalid_value',
    'alignment.constraints[0].cap',
  ],
  [{ length: { mode: 'short' } }, 'invalid_value', 'alignment.length.mode'],
];

test.each(refusals)('%o is refused as %s at %s', (alignment, code, param) => {
  const error = refusal(() => reward(alignment));
  expect(error).toMatchObject({ code, param });
  expect(error.message).not.toMatch(/Invalid input|expected/);
});

describe('a strategy', () => {
  const prune = { type: 'speculative_rejection', at: [4] };

  test('that judges beginnings is refused a reward that reads whole answers only', () => {
    const rewards = [happy, { model: 'rm-late' }];
    const error = refusal(() => complete({ strategy: { ...best, prune }, rewards }));
    expect(error).toMatchObject({ code: 'reward_mismatch', param: 'alignment.rewards[1].model' });
    expect(complete({ strategy: best, rewards }).reward?.uses).toHaveLength(2);
    const never = { ...prune, alpha: 0 };
    expect(complete({ strategy: { ...best, prune: never }, rewards }).params).toMatchObject({
      prune: { rule: { params: { at: [] } }, points: [] },
    });
  });

  test('that needs a reward is refused without one, and one that asks none with one', () => {
    const none = refusal(() => complete({ strategy: best }));
    expect(none).toMatchObject({ code: 'reward_mismatch', param: 'alignment.rewards' });
    const idle = refusal(() => complete({ rewards: [happy] }));
    expect(idle).toMatchObject({ code: 'reward_mismatch', param: 'alignment.rewards' });
    expect(complete({}, { model: 'tales:best' }).strategy).toBe('sample');
  });

  test('is chosen by best_of: by reward, or by likelihood where none is named', () => {
    expect(complete({}, { best_of: 4 })).toMatchObject({
      strategy: 'best_of_n',
      params: { n: 4, by: 'likelihood' },
      reward: null,
    });
    expect(complete({ rewards: [happy] }, { best_of: 4 })).toMatchObject({
      params: { n: 4, by: 'reward' },
    });
    expect(complete({}, { best_of: 4, model: 'tales:best' }).params).toMatchObject({
      by: 'reward',
    });
    expect(complete({}, { best_of: 1 }).strategy).toBe('sample');
    expect(complete({}, { best_of: 2, n: 2 }).strategy).toBe('sample');
    const several = complete({ rewards: [happy] }, { best_of: 4, n: 2 });
    expect(several).toMatchObject({ n: 1, answers: 2, params: { n: 4 } });
  });

  test.each([
    [{ n: 0 }, 'alignment.strategy.n'],
    [{ select: 'best' }, 'alignment.strategy.select'],
    [{ prune: { type: 'magic' } }, 'alignment.strategy.prune.type'],
    [{ prune: { ...prune, at: [] } }, 'alignment.strategy.prune.at'],
    [{ prune: { ...prune, alpha: 1 } }, 'alignment.strategy.prune.alpha'],
    [{ n: 65 }, 'n'],
  ])('with %o is refused at %s', (fields, param) => {
    const strategy = { ...best, ...fields };
    expect(refusal(() => complete({ strategy, rewards: [happy] }))).toMatchObject({ param });
  });
});

test('stored quantiles are interpolated between what is stored, and not beyond', () => {
  const card = catalog.models.get('rm-happy-a')!;
  const at = [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => storedQuantile(card, share));
  [-1, 0, 1, 2, 3].forEach((value, i) => expect(at[i]).toBeCloseTo(value, 12));
  expect([storedQuantile(card, 0.05), storedQuantile(card, 0.95)]).toEqual([null, null]);
  expect(storedQuantile(catalog.models.get('rm-late')!, 0.5)).toBeNull();
});

test('a plan knows its own quantile where one reward alone decides', () => {
  const at = (wire: Parameters<typeof parseRewards>[0]) =>
    planQuantile(parseRewards(wire, catalog)!)(0.9);
  expect(at({ rewards: [happy] })).toBe(3);
  expect(at({ rewards: [{ ...happy, weight: -2 }] })).toBe(2);
  expect(at({ rewards: [happy], ensemble: {} })).toBe(1);
  expect(at({ rewards: [happy, { model: 'rm-late' }] })).toBeNull();
  expect(at({ rewards: [happy], length: {} })).toBeNull();
});
