import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog } from '../../fakes/catalog.ts';
import { byteCodec } from '../../fakes/codec.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const messages = [
  { role: 'system', content: 'S' },
  { role: 'user', content: 'U' },
];

const complete = (alignment: unknown, fields: object = {}) =>
  parser.completion({ prompt: 'ab', max_tokens: 5, alignment, ...fields }, ambient);
const chat = (alignment: unknown) =>
  parser.chat({ messages, max_tokens: 5, alignment }, ambient).plan;
const lanes = (alignment: unknown) => complete(alignment).plan.prompts[0]?.lanes;
const uses = (alignment: unknown) => complete(alignment).plan.opening.guidance.uses;

function refusal(alignment: unknown): ServeError {
  try {
    complete(alignment);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(alignment)}`);
}

describe('guides', () => {
  test('read the request by their own codec, in lanes of their own', () => {
    const guides = [
      { model: 'arm-happy', weight: 1 },
      { model: 'arm-kind', weight: -0.5 },
    ];
    expect(lanes({ guides })?.map(({ model }) => model)).toEqual([
      'tales',
      'arm-happy',
      'arm-kind',
    ]);
    expect(uses({ guides })).toEqual([
      { plus: 1, minus: null, weight: 1, entropyAbove: null },
      { plus: 2, minus: null, weight: -0.5, entropyAbove: null },
    ]);
  });

  test('of one model and prompt share a lane', () => {
    const guides = [
      { model: 'arm-happy', weight: 1 },
      { plus: 'arm-happy', minus: 'arm-kind', weight: 1 },
    ];
    expect(lanes({ guides })).toHaveLength(3);
    expect(uses({ guides })).toMatchObject([
      { plus: 1, minus: null },
      { plus: 1, minus: 2 },
    ]);
  });

  test('of weight zero run no model, and keep their place in what is explained', () => {
    const guides = [{ model: 'arm-happy', weight: 0 }, { model: 'arm-kind' }];
    expect(lanes({ guides })?.map(({ model }) => model)).toEqual(['tales', 'arm-kind']);
    expect(uses({ guides })).toMatchObject([{ plus: 1, weight: 1 }]);
    expect(complete({ guides }).answer.guideOrder).toEqual([null, 0]);
  });

  test('may be a ratio against the policy, which costs no lane', () => {
    const guides = [{ plus: 'arm-happy', minus: 'tales', weight: 1 }];
    expect(lanes({ guides })).toHaveLength(2);
    expect(uses({ guides })).toMatchObject([{ plus: 1, minus: 0 }]);
  });

  test('may bring their own prompt: a system message in a chat', () => {
    const prompt = { system: 'Be glad' };
    const plan = chat({ guides: [{ model: 'arm-happy', weight: 1, prompt }] });
    expect(plan.prompts[0]?.lanes[1]?.prompt).toEqual(
      byteCodec.chat([
        { role: 'system', content: 'Be glad' },
        { role: 'user', content: 'U' },
      ]),
    );
  });

  test('may bring their own prompt: the policy against itself', () => {
    const guides = [{ plus: 'tales', minus: 'tales', weight: 1, plus_prompt: { text: 'glad' } }];
    expect(lanes({ guides })?.map(({ prompt }) => prompt)).toEqual([
      byteCodec.prompt('ab'),
      byteCodec.prompt('glad'),
    ]);
    expect(uses({ guides })).toMatchObject([{ plus: 1, minus: 0 }]);
  });

  test('share lanes by what they say, so that lanes agree across prompts', () => {
    const guides = [{ model: 'tales', weight: 1, prompt: { text: 'ab' } }];
    const { plan } = complete({ guides }, { prompt: ['ab', 'cd'] });
    expect(plan.prompts.map((prompt) => prompt.lanes.length)).toEqual([2, 2]);
  });

  test('may be masked by the entropy of the policy', () => {
    const guides = [{ model: 'arm-happy', mask: { entropy_above: 1.5 } }];
    expect(uses({ guides })).toMatchObject([{ entropyAbove: 1.5 }]);
    expect(uses({ guides: [{ model: 'arm-happy', mask: 'all' }] })[0]?.entropyAbove).toBeNull();
  });

  test('of a shorter context bound the request', () => {
    const error = refusal({ guides: [{ model: 'arm-short', prompt: { text: 'x'.repeat(30) } }] });
    expect(error.code).toBe('context_length_exceeded');
    expect(error.message).toContain('arm-short');
  });
});

const happy = { model: 'arm-happy', weight: 1 };
const refusals: [alignment: unknown, code: string, param: string][] = [
  [{ strateggy: 1 }, 'unknown_parameter', 'alignment.strateggy'],
  [JSON.parse('{"__proto__":{"explain":true}}'), 'unknown_parameter', 'alignment.__proto__'],
  [{ guides: 7 }, 'invalid_value', 'alignment.guides'],
  [{ guides: [7] }, 'invalid_value', 'alignment.guides[0]'],
  [{ guides: [{}] }, 'invalid_value', 'alignment.guides[0].model'],
  [{ guides: [{ model: 'nope' }] }, 'model_not_found', 'alignment.guides[0].model'],
  [{ guides: [{ model: 'rm-happy-a' }] }, 'model_not_found', 'alignment.guides[0].model'],
  [{ guides: [{ model: '__proto__' }] }, 'model_not_found', 'alignment.guides[0].model'],
  [{ guides: [happy, { ...happy, weight: 'x' }] }, 'invalid_value', 'alignment.guides[1].weight'],
  [{ guides: [{ ...happy, weight: 17 }] }, 'invalid_value', 'alignment.guides[0].weight'],
  [{ guides: [{ ...happy, weight: Number.NaN }] }, 'invalid_value', 'alignment.guides[0].weight'],
  [{ guides: [{ ...happy, wait: 1 }] }, 'unknown_parameter', 'alignment.guides[0].wait'],
  [{ guides: [{ ...happy, mask: 'some' }] }, 'invalid_value', 'alignment.guides[0].mask'],
  [{ guides: Array(100).fill(happy) }, 'invalid_value', 'alignment.guides'],
  [{ guides: [{ plus: 'arm-happy' }] }, 'invalid_value', 'alignment.guides[0].minus'],
  [
    { guides: [{ plus: 'arm-happy', minus: 'nope' }] },
    'model_not_found',
    'alignment.guides[0].minus',
  ],
  [{ guides: [{ value: 'tvm' }] }, 'model_not_found', 'alignment.guides[0].value'],
  [
    { guides: [{ ...happy, prompt: { system: 'x' } }] },
    'invalid_value',
    'alignment.guides[0].prompt.system',
  ],
  [{ combine: 'product' }, 'invalid_value', 'alignment.combine'],
  [{ combine: 'mean', guides: [{ ...happy, weight: -1 }] }, 'invalid_value', 'alignment.combine'],
  [{ max_kl: -1 }, 'invalid_value', 'alignment.max_kl'],
  [{ plausibility: 1.1 }, 'invalid_value', 'alignment.plausibility'],
  [{ explain: 'yes' }, 'invalid_value', 'alignment.explain'],
  [{ strategy: 'sample' }, 'invalid_value', 'alignment.strategy'],
  [{ strategy: {} }, 'invalid_value', 'alignment.strategy.type'],
  [{ strategy: { type: 'nope' } }, 'strategy_unavailable', 'alignment.strategy.type'],
  [{ strategy: { type: 'constructor' } }, 'strategy_unavailable', 'alignment.strategy.type'],
  [{ strategy: { type: 'sample', n: 4 } }, 'unknown_parameter', 'alignment.strategy.n'],
  [{ budget: 5 }, 'invalid_value', 'alignment.budget'],
  [{ budget: { tokens: 0 } }, 'invalid_value', 'alignment.budget.tokens'],
  [{ budget: { tokens: 1e9 } }, 'invalid_value', 'alignment.budget.tokens'],
  [{ budget: { ms: 1e9 } }, 'invalid_value', 'alignment.budget.ms'],
  [{ budget: { seconds: 5 } }, 'unknown_parameter', 'alignment.budget.seconds'],
];

test.each(refusals)('alignment %o is refused as %s at %s', (alignment, code, param) => {
  const error = refusal(alignment);
  expect(error).toMatchObject({ code, param });
  expect(error.message).toContain(
    param
      .split('.')
      .at(-1)
      ?.replace(/\[\d+\]/, ''),
  );
});

test('an alignment of empty parts is none', () => {
  const empty = { guides: [], rewards: [], strategy: { type: 'sample' }, explain: null };
  expect(complete(empty).plan).toEqual(complete(undefined).plan);
});

describe('policies', () => {
  const asking = (model: string, alignment: unknown = {}) => complete(alignment, { model }).plan;

  test('are named by a request, by its preset, or by the config', () => {
    const policy = (fields: object) => complete({}, fields).plan.prompts[0]?.lanes[0]?.model;
    expect(policy({})).toBe('tales');
    expect(policy({ model: 'sums' })).toBe('sums');
    expect(policy({ model: 'sums:n' })).toBe('sums');
    expect(asking('sums:n').strategy).toBe('best_of_n');
  });

  test('of one vocabulary may guide each other, alone or as a ratio', () => {
    const ratio = { plus: 'sums-tuned', minus: 'sums', weight: 1 };
    const { prompts, opening } = asking('sums', { guides: [ratio, { model: 'sums-tuned' }] });
    expect(prompts[0]?.lanes.map(({ model }) => model)).toEqual(['sums', 'sums-tuned']);
    expect(opening.guidance.uses).toMatchObject([
      { plus: 1, minus: 0 },
      { plus: 1, minus: null },
    ]);
    const turned = asking('sums-tuned', { guides: [ratio] });
    expect(turned.opening.guidance.uses).toMatchObject([{ plus: 0, minus: 1 }]);
  });

  test.each([
    ['sums', { model: 'arm-happy' }, 'model'],
    ['sums:n', { model: 'tales' }, 'model'],
    ['sums', { plus: 'arm-happy', minus: 'sums', weight: 1 }, 'plus'],
    ['tales', { plus: 'arm-happy', minus: 'sums', weight: 1 }, 'minus'],
  ])('of %s: a guide of another vocabulary, %o, is refused by name', (model, guide, field) => {
    expect(() => asking(model, { guides: [guide] })).toThrow(
      expect.objectContaining({
        code: 'invalid_value',
        param: `alignment.guides[0].${field}`,
        message: expect.stringContaining('whose vocabulary is not that of') as string,
      }),
    );
  });

  test('bound an answer by their own context', () => {
    expect(() => complete({}, { model: 'sums', max_tokens: 127 })).toThrow('holds 128');
  });
});

describe('a budget', () => {
  const budget = (alignment: object, fields: object = {}) => {
    const { opening, budgetMs } = complete(alignment, fields).plan;
    return [opening.budget, budgetMs];
  };

  test('is the server’s where the request has none, and what all choices share', () => {
    const { tokens } = catalog.limits;
    expect(budget({})).toEqual([tokens, null]);
    expect(budget({}, { n: 3 })).toEqual([Math.floor(tokens / 3), null]);
    expect(budget({ budget: { tokens: 100, ms: 50 } }, { n: 3 })).toEqual([33, 50]);
    expect(budget({ budget: { ms: 50, tokens: null } })).toEqual([tokens, 50]);
  });

  test('leaves every choice a token', () => {
    const asked = { budget: { tokens: 3 } };
    expect(budget(asked, { n: 3 })).toEqual([1, null]);
    expect(() => complete(asked, { n: 4 })).toThrow(/alignment.budget.tokens is 3.*4 answers/);
  });

  test('is within what a preset may cost', () => {
    const preset = { name: 'cheap', policy: 'tales', alignment: {}, maxCost: 50 };
    const cheap = planner({ ...catalog, presets: new Map([['cheap', preset]]) });
    const body = { prompt: 'ab', model: 'cheap', max_tokens: 5 };
    const of = (alignment: object) => cheap.completion({ ...body, alignment }, ambient).plan;
    expect(of({}).opening.budget).toBe(50);
    expect(of({ budget: { tokens: 60 } }).opening.budget).toBe(50);
    expect(of({ budget: { tokens: 40 } }).opening.budget).toBe(40);
  });
});

describe('strategies', () => {
  test('come with their own parameters, and count the branches they may hold', () => {
    const { plan } = complete({ strategy: { type: 'beam', width: 2 } });
    expect(plan).toMatchObject({ strategy: 'beam', params: { k: 2, G: 1, early: 'never' } });
    const wide = { strategy: { type: 'beam', width: 3 } };
    expect(() => complete(wide, { n: 1000 })).toThrow(ServeError);
  });

  test('name the field that does not fit', () => {
    const error = refusal({ strategy: { type: 'beam', width: 0 } });
    expect(error).toMatchObject({ code: 'invalid_value', param: 'alignment.strategy.width' });
    expect(error.message).toContain('an integer from 1 to 32');
  });

  test.each(['segment_beam', 'segment_rejection', 'args', 'particles', 'mcts'])(
    '%s without a reward is refused before any token is drawn',
    (type) => {
      expect(refusal({ strategy: { type } })).toMatchObject({
        code: 'reward_mismatch',
        param: 'alignment.rewards',
      });
    },
  );

  test('vote and particles ask for a reward only where they use one', () => {
    const type = (strategy: object) => complete({ strategy }).plan.strategy;
    expect(type({ type: 'vote', n: 2 })).toBe('vote');
    expect(type({ type: 'particles', n: 2, lambda: 0 })).toBe('particles');
    expect(refusal({ strategy: { type: 'vote', n: 2, by: 'weighted' } }).code).toBe(
      'reward_mismatch',
    );
  });
});

describe('what is encoded', () => {
  /** The catalog, with every text that a model's codec is given. */
  function counted(name: string) {
    const encoded: string[] = [];
    const prompt = (text: string) => (encoded.push(text), byteCodec.prompt(text));
    const card = { ...catalog.models.get(name)!, codec: { ...byteCodec, prompt } };
    const models = new Map([...catalog.models, [name, card] as const]);
    return { encoded, planner: planner({ ...catalog, models }) };
  }
  const prompt = Array.from({ length: 64 }, (_, i) => `prompt ${i}`);

  test('a guide’s own prompt is encoded once, however many prompts it stands for', () => {
    const { encoded, planner } = counted('arm-happy');
    const guides = [{ model: 'arm-happy', weight: 1, prompt: { text: 'my own' } }];
    const { plan } = planner.completion({ prompt, max_tokens: 5, alignment: { guides } }, ambient);
    expect(encoded).toEqual(['my own']);
    const own = plan.prompts.map(({ lanes }) => lanes[1]!.prompt);
    expect(new Set(own.map((tokens) => tokens.join()))).toEqual(
      new Set([byteCodec.prompt('my own').join()]),
    );
  });

  test('nothing is, where there are too many answers for any strategy', () => {
    const { encoded, planner } = counted('tales');
    const asked = () => planner.completion({ prompt, n: 2, max_tokens: 5 }, ambient);
    expect(asked).toThrow('n 2 x prompts 64');
    expect(encoded).toEqual([]);
  });
});
