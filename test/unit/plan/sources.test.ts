/** Rewards in which a language model judges, from the wire to the plan. */

import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { parseScore } from '../../../src/plan/score.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { catalog } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };

const planOf = (reward: object, fields: object = {}) => {
  const alignment = { strategy: { type: 'best_of_n', n: 4 }, rewards: [reward] };
  return parser.completion({ prompt: 'ab', max_tokens: 5, alignment, ...fields }, ambient).plan;
};
const useOf = (reward: object) => planOf(reward).reward!.uses[0]!;
const refusal = (reward: object, fields?: object): ServeError => {
  try {
    planOf(reward, fields);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error('accepted');
};
/** A user's turn after the answer, as the byte codec writes it. */
const turn = (text: string) => [2, ...byteCodec.encode(text), 3];
const token = (text: string) => byteCodec.encode(text)[0]!;

test('a likelihood may be that of any language model, on a prompt of its own', () => {
  const by = { model: 'arm-happy', reading: 'arm-happy' };
  expect(useOf({ likelihood: 'arm-happy' })).toMatchObject({
    id: 'likelihood:arm-happy',
    source: { kind: 'likelihood', by, aggregate: 'sum' },
  });
  const own = planOf({ likelihood: 'tales', aggregate: 'mean', prompt: { text: 'be kind' } });
  const [[key, reading]] = Object.entries(own.prompts[0]!.readings) as [[string, number[]]];
  expect(own.reward!.uses[0]!.source).toMatchObject({ by: { model: 'tales', reading: key } });
  expect(reading).toEqual(byteCodec.prompt('be kind'));
  expect(refusal({ likelihood: 'rm-happy-a' })).toMatchObject({
    code: 'model_not_found',
    param: 'alignment.rewards[0].likelihood',
  });
});

test('a ratio has two readings, and steps if asked', () => {
  const plan = planOf({
    plus: 'arm-kind',
    minus: 'tales',
    minus_prompt: { text: 'c' },
    beta: 0.5,
    step: { until: ['\n'] },
    weight: 2,
  });
  expect(plan.reward!.uses[0]).toMatchObject({
    id: 'ratio:arm-kind/tales',
    weight: 2,
    source: { beta: 0.5, aggregate: 'min', delimiters: ['\n'], sigmoid: false },
  });
  expect(Object.values(plan.prompts[0]!.readings)).toEqual([
    byteCodec.prompt('ab'),
    byteCodec.prompt('c'),
  ]);
  expect(useOf({ plus: 'arm-kind', minus: 'tales' }).source).toMatchObject({
    beta: 1,
    aggregate: 'sum',
    delimiters: null,
  });
  expect(refusal({ plus: 'arm-kind' }).param).toBe('alignment.rewards[0].minus');
});

test('follow-up lines are turns of the user, and count towards the context', () => {
  const ask = { likelihood: 'tales', follow_up: { positive: ['yes'], negative: ['no', 'oh'] } };
  const { source } = useOf(ask) as { source: { positive: unknown; negative: unknown } };
  expect(source.positive).toEqual([byteCodec.turn('yes')]);
  expect(source.negative).toHaveLength(2);
  const long = 'x'.repeat(40);
  const wide = { likelihood: 'arm-short', follow_up: { positive: [long] } };
  expect(refusal(wide).code).toBe('context_length_exceeded'); // 32 tokens
  expect(refusal({ ...ask, follow_up: {} }).param).toBe('alignment.rewards[0].follow_up');
  expect(refusal({ ...ask, follow_up: { positive: [long + 'x'] } }).message).toContain('40');
  const segment = { strategy: { type: 'segment_beam' }, rewards: [ask] };
  expect(refusal(ask, { alignment: segment }).code).toBe('reward_mismatch');
  const prefix = { ...segment, rewards: [{ ...ask, reads: 'prefix' }] };
  expect(planOf(ask, { alignment: prefix }).strategy).toBe('segment_beam');
});

describe('a judge', () => {
  const questions = (ask: object) =>
    (useOf({ judge: 'tales', ...ask }).source as { questions: unknown }).questions;

  test('answers yes or no, by labels of one token', () => {
    expect(questions({ question: 'Good?', labels: ['Y', 'N'] })).toEqual([
      { asks: turn('Good?'), labels: [token('Y'), token('N')], values: [1, 0] },
    ]);
    expect(questions({ question: 'Good?', labels: ['<|4|>', 'N'] })).toMatchObject([
      { labels: [4, token('N')] },
    ]);
    expect(refusal({ judge: 'tales', question: 'Good?' })).toMatchObject({
      param: 'alignment.rewards[0].labels[0]', // "Yes" has three tokens here
    });
  });

  test('rates, by numbers or by place', () => {
    const rated = (ratings: string[]) => questions({ criterion: 'kind', ratings });
    expect(rated(['2', '5'])).toEqual([
      {
        asks: turn('Rate the answer from 2 to 5 by this criterion: kind'),
        labels: [token('2'), token('5')],
        values: [2, 5],
      },
    ]);
    expect(rated(['a', 'b', 'c'])).toMatchObject([{ values: [1, 2, 3] }]);
  });

  test('is asked about two options in both orders', () => {
    const ask = { question: '{first} or {second}?', options: ['good', 'bad'] };
    expect(questions(ask)).toEqual([
      { asks: turn('good or bad?'), labels: [token('A'), token('B')], values: [1, 0] },
      { asks: turn('bad or good?'), labels: [token('A'), token('B')], values: [0, 1] },
    ]);
    expect(refusal({ judge: 'tales', ...ask, question: 'Good?' }).message).toContain('{first}');
  });

  test('may be asked several questions, within bounds', () => {
    const labels = ['Y', 'N'];
    expect(questions({ question: ['a', 'b'], labels })).toHaveLength(2);
    const ask = (wire: object) => refusal({ judge: 'tales', labels, ...wire });
    expect(ask({ question: Array(5).fill('a') }).param).toBe('alignment.rewards[0].question');
    expect(ask({}).message).toContain('criterion');
    expect(ask({ question: 'a', criterion: 'b' }).param).toBe('alignment.rewards[0].criterion');
    expect(ask({ question: 'a', ratings: ['1', '2'] }).param).toBe('alignment.rewards[0].ratings');
  });

  const labelled = { judge: 'tales', question: 'Good?', labels: ['Y', 'N'] };
  const writing = (critique: object) => ({
    ...labelled,
    critique: { question: 'Why?', ...critique },
  });

  test('may write critiques first, which count towards the context', () => {
    expect(useOf(labelled).source).toMatchObject({ critique: null });
    expect(useOf(writing({})).source).toMatchObject({
      critique: { asks: turn('Why?'), tokens: 64, n: 1, temperature: 0, seed: 0 },
    });
    expect(useOf(writing({ n: 2, max_tokens: 9, seed: 5 })).source).toMatchObject({
      critique: { tokens: 9, n: 2, temperature: 1, seed: 5 },
    });
    expect(refusal(writing({ max_tokens: 380 }))).toMatchObject({
      code: 'context_length_exceeded',
    });
    expect(() => planOf(writing({ max_tokens: 360 }))).not.toThrow(); // with prompt, answer and both turns 382
  });

  test('writes none without rows to write in, nor more at once than there are', () => {
    const at = 'alignment.rewards[0].critique';
    const none = refusal({ ...writing({}), judge: 'arm-happy' });
    expect(none).toMatchObject({ code: 'reward_mismatch', param: at });
    expect(none.message).toMatch(/critique_rows.*: tales$/);
    expect(refusal(writing({ n: 3 }))).toMatchObject({ param: `${at}.n` });
    expect(refusal(writing({ n: 3 })).message).toContain('at most 2');
    expect(refusal(writing({ n: 2, temperature: 0 })).param).toBe(`${at}.temperature`);
    expect(refusal({ ...labelled, critique: {} }).param).toBe(`${at}.question`);
  });
});

describe('self-evaluation', () => {
  const knowing = (selfEvaluation?: object) => {
    const tales = {
      ...catalog.models.get('tales')!,
      ...(selfEvaluation ? { selfEvaluation } : {}),
    };
    const codec = {
      ...byteCodec,
      encode: (text: string) =>
        text === 'Yes' ? [5] : text === 'No' ? [6] : byteCodec.encode(text),
    };
    const models = new Map([...catalog.models, ['tales', { ...tales, codec }] as const]);
    return (reward: object) => {
      const parts = { rewards: [reward] };
      const asked = { queries: 'a', documents: 'b', alignment: parts };
      return parseScore(asked, { ...catalog, models } as typeof catalog).judging.reward.uses[0]!;
    };
  };

  test('is refused without a calibration record, unless asked', () => {
    expect(() => knowing()({ self_evaluation: {} })).toThrow(/uncalibrated/);
    const { source, id } = knowing()({ self_evaluation: { uncalibrated: true } });
    expect(id).toBe('self_evaluation');
    expect(source).toMatchObject({
      kind: 'judge',
      questions: [{ labels: [6, 5], values: [1, 0] }], // "no": a restart would not be better
      calibration: null,
      reads: 'prefix',
    });
  });

  test('is calibrated for the question of the record only', () => {
    const record = { question: 'Again?', scale: 2, shift: 1 };
    const parse = knowing(record);
    expect(parse({ self_evaluation: {} }).source).toMatchObject({
      questions: [{ asks: turn('Again?') }],
      calibration: { scale: 2, shift: 1 },
    });
    expect(() => parse({ self_evaluation: { question: 'Other?' } })).toThrow(/no calibration/);
  });

  test('is refused in a strategy as it is in a reward, and its question needs room', () => {
    const policy = (record?: object) => ({
      ...catalog.models.get('tales')!,
      codec: {
        ...byteCodec,
        vocabulary: {
          ...byteCodec.vocabulary,
          piece: (one: number) => ['', '', '', '', '', '<|yes|>', '<|no|>', ''][one] ?? '?',
        },
      },
      ...(record ? { selfEvaluation: record } : {}),
    });
    const planned = (strategy: object, record?: object, maxTokens = 5) => {
      const models = new Map([...catalog.models, ['tales', policy(record)]]);
      const own = planner({ ...catalog, models } as typeof catalog);
      const alignment = { strategy, rewards: [{ model: 'rm-happy-a' }] };
      return own.completion({ prompt: 'ab', max_tokens: maxTokens, alignment }, ambient).plan;
    };
    const prune = { type: 'self_evaluation', at: [2] };
    const pruning = (changes = {}) => ({
      type: 'best_of_n',
      n: 4,
      prune: { ...prune, ...changes },
    });
    expect(() => planned(pruning())).toThrow(/alignment.strategy.prune: tales has no calibration/);
    expect(() =>
      planned({ type: 'best_of_n', adaptive: { self_evaluation: { probability: 0.5 } } }),
    ).toThrow(/alignment.strategy.adaptive.self_evaluation: tales has no calibration/);
    const record = { question: 'Again?', scale: 2, shift: 1 };
    const self = { asks: turn('Again?'), labels: [6, 5], calibration: { scale: 2, shift: 1 } };
    const plan = planned(pruning(), record);
    expect(plan.params).toMatchObject({ prune: { rule: { params: { self } } } });
    expect(plan.opening.extra).toBe(8);
    const bare = planned(pruning({ uncalibrated: true }));
    expect(bare.params).toMatchObject({
      prune: { rule: { params: { self: { calibration: null } } } },
    });
    expect(planned(pruning(), record, 384 - 3 - 8).opening.maxTokens).toBe(373);
    expect(() => planned(pruning(), record, 374)).toThrow(/ask for at most 373/);
    expect(planned({ type: 'best_of_n', n: 4 }, record, 381).opening.extra).toBe(0);
  });
});

test('self-truncation needs a policy whose graph tells its states, and then asks for them and for no reward', () => {
  const planned = (told: boolean, fields: object = {}) => {
    const tales = {
      ...catalog.models.get('tales')!,
      ...(told ? { layerStates: true as const } : {}),
    };
    const own = planner({ ...catalog, models: new Map([...catalog.models, ['tales', tales]]) });
    const strategy = { type: 'best_of_n', n: 4, prune: { type: 'self_truncation' } };
    const alignment = { strategy, ...fields };
    return own.completion({ prompt: 'ab', max_tokens: 5, alignment }, ambient).plan;
  };
  expect(planned(true).opening.record.states).toBe(true);
  expect(planOf({ likelihood: 'tales' }).opening.record.states).toBe(false);
  expect(() => planned(true, { rewards: [{ model: 'rm-happy-a' }] })).toThrow(ServeError);
  expect(() => planned(false)).toThrow(
    expect.objectContaining({
      code: 'invalid_value',
      param: 'alignment.strategy.prune.type',
      message: expect.stringMatching(/is "self_truncation".*`import --layer-states`/),
    }),
  );
});

test('a judge of pairs reads two answers at a time, and its question has a place for the other', () => {
  const use = useOf({ pairwise: 'arm-happy', question: 'or {other}?', labels: ['f', 's'] });
  expect(use).toMatchObject({
    id: 'pairwise:arm-happy',
    source: {
      kind: 'pairwise',
      by: { model: 'arm-happy', reading: 'arm-happy' },
      question: 'or {other}?',
      labels: [token('f'), token('s')],
      aggregate: 'win_rate',
      average: 'probability',
      reads: 'complete',
    },
  });
  const asked = { pairwise: 'arm-short', question: '{other}', labels: ['f', 's'] };
  expect(planOf(asked, { max_tokens: 13 }).reward).not.toBeNull(); // 32 - 3 of the prompt - 2 around it, halved
  expect(refusal(asked, { max_tokens: 14 }).code).toBe('context_length_exceeded');
  const at = (reward: object) => refusal({ labels: ['f', 's'], ...reward }).param;
  expect(at({ pairwise: 'rm-late' })).toBe('alignment.rewards[0].pairwise');
  expect(at({ pairwise: 'tales', question: 'or?' })).toBe('alignment.rewards[0].question');
  expect(at({ pairwise: 'tales', labels: ['f', 'two'] })).toBe('alignment.rewards[0].labels[1]');
  expect(at({ pairwise: 'tales', aggregate: 'elo' })).toBe('alignment.rewards[0].aggregate');
  expect(refusal({ ...asked, steps: {} }).code).toBe('reward_mismatch');
  const all = { queries: 'ab', documents: ['x', 'y', 'z'] };
  const quoted = (reward: object) =>
    parseScore({ ...all, alignment: { rewards: [reward] } }, catalog);
  const single = quoted({ pairwise: 'tales', question: '{other}', labels: ['f', 's'] }).tokens;
  expect(single).toBe(3 * 4 * 8); // each of three beside two others, twice: 3 of the prompt, 1 of each answer, end and question
});

test('scores may be ranked or compared within the pool, which value guides do not have', () => {
  const members = ['rank', 'win_rate'].map((type) =>
    useOf({ model: 'rm-happy-a', transform: { type } }),
  );
  expect(members.map(({ scale, transform }) => [scale, transform])).toEqual([
    ['rank', null],
    [null, { kind: 'win_rate' }],
  ]);
  const ensemble = { aggregate: 'max', normalize: 'rank' };
  const alignment = {
    strategy: { type: 'best_of_n', n: 4 },
    rewards: [{ model: 'rm-happy-a' }],
    ensemble,
  };
  const { plan } = parser.completion({ prompt: 'ab', max_tokens: 5, alignment }, ambient);
  expect(plan.reward).toMatchObject({ uses: [{ scale: 'rank' }], ensemble: { aggregate: 'max' } });
  for (const type of ['rank', 'win_rate']) {
    const guides = [{ value: 'rm-happy-a', transform: { type } }];
    expect(() =>
      parser.completion({ prompt: 'ab', max_tokens: 5, alignment: { guides } }, ambient),
    ).toThrow(/no pool/);
  }
});
