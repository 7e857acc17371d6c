import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { misfit } from '../../../src/core/fields.ts';
import { strategies } from '../../../src/strategies/index.ts';

const context = { maxTokens: 50, judged: false };
const parse = (type: string, fields: object) => strategies[type]!.parse(fields, context);

function refusal(type: string, fields: object): string {
  try {
    parse(type, fields);
  } catch (error) {
    if (error instanceof z.ZodError) return misfit(error, 'alignment.strategy').message;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(fields)}`);
}

const defaults: readonly (readonly [string, object, object])[] = [
  ['beam', {}, { k: 4, G: 1, lambda: 0.5, penalty: 0, basis: 'generated', early: 'never', w: 0 }],
  ['segment_beam', {}, { W: 4, K: 4, segment: { tokens: 30 } }],
  ['args', {}, { k: 10, w: 1, tau: 0 }],
  [
    'particles',
    {},
    {
      K: 16,
      potential: 'diff',
      lambda: 4,
      every: 16,
      ess: 0.5,
      resample: 'systematic',
      select: 'sample',
    },
  ],
  [
    'mcts',
    {},
    {
      b: 3,
      c: 0.7,
      a: 0.5,
      gate: 0.9,
      segment: { tokens: 256, until: { text: ['\n'] } },
      iterations: 40,
      patience: Infinity,
      answer: null,
      truth: null,
      rollForward: 3,
      rollBranch: 1,
    },
  ],
  [
    'vote',
    {},
    { n: 16, by: 'majority', answer: { extract: 'last_number' }, filter: null, maxTokens: 50 },
  ],
  [
    'segment_beam',
    { width: null, segment: { until: ['\n'], max_tokens: null } },
    { W: 4, K: 4, segment: { tokens: 64, until: { text: ['\n'] } } },
  ],
  [
    'segment_beam',
    { segment: { entropy: 3 } },
    { W: 4, K: 4, segment: { tokens: 64, until: { entropy: 3, least: 1 } } },
  ],
];

test.each(defaults)('%s %o: what is left out has a default', (type, fields, params) => {
  expect(parse(type, fields)).toEqual(params);
});

test.each([
  ['beam', { width: 33 }, 'width'],
  ['beam', { width: 4, groups: 3 }, 'groups'],
  ['beam', { early_stopping: 'yes' }, 'early_stopping'],
  ['beam', { beams: 4 }, 'beams'],
  ['segment_beam', { width: 64, expand: 64 }, 'expand'],
  ['segment_beam', { segment: { until: [] } }, 'segment'],
  ['segment_beam', { segment: { tokens: 3, until: ['a'] } }, 'segment'],
  ['segment_rejection', { target: 'high' }, 'target'],
  ['args', { top_k: 65 }, 'top_k'],
  ['particles', { potential: 'sum' }, 'potential'],
  ['particles', { n: 0 }, 'n'],
  ['mcts', { iterations: 1e9 }, 'iterations'],
  ['vote', { answer: { extract: 'regex', pattern: '.*' } }, 'answer'],
  ['vote', { filter: { threshold: 0 } }, 'filter'],
])('%s %o is refused, and the message names %s', (type, fields, name) => {
  expect(refusal(type, fields)).toContain(name);
});

test.each([
  ['beam', { width: 33 }, 'alignment.strategy.width is 33'],
  ['best_of_n', { prune: { type: 'value', threshold: 'x' } }, 'prune.threshold is "x"'],
  ['best_of_n', { prune: { type: 'magic' } }, 'prune.type is "magic"'],
])('%s %o: the refusal says what was given', (type, fields, told) => {
  expect(refusal(type, fields)).toContain(told);
});

describe('needs and peak', () => {
  const asks = (type: string, fields: object) => {
    const strategy = strategies[type]!;
    const params = parse(type, fields);
    return [strategy.needs(params), strategy.peak(params)];
  };
  test.each([
    ['beam', { width: 4 }, 'nothing', 4, 4],
    ['beam', { width: 4, reward_weight: 2 }, 'prefix', 4, 4],
    ['segment_beam', { width: 2, expand: 3 }, 'prefix', 6, 6],
    ['segment_rejection', { target: 1 }, 'prefix', 3, 3],
    ['args', { top_k: 7 }, 'prefix', 7, 7],
    ['particles', { n: 9 }, 'prefix', 9, 9],
    ['particles', { n: 9, lambda: 0 }, 'nothing', 9, 9],
    ['mcts', { branch: 3, roll_branch: 2 }, 'prefix', 3, 3],
    ['vote', { n: 10 }, 'nothing', 3, 10],
    ['vote', { n: 10, by: 'weighted' }, 'complete', 3, 10],
    ['vote', { n: 10, filter: { threshold: 0, at: 4 } }, 'prefix', 3, 10],
  ])('%s %o needs %s and %i to %i rows', (type, fields, needs, least, most) => {
    expect(asks(type, fields)).toEqual([needs, { least, most }]);
  });
});
