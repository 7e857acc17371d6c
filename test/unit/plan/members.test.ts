import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { ServeError } from '../../../src/core/errors.ts';
import { parseRewards } from '../../../src/plan/rewards.ts';
import { catalog } from '../../fakes/catalog.ts';

const sourceOf = (member: object) => parseRewards({ rewards: [member] }, catalog)!.plan.uses[0]!;

function refusal(member: unknown, others: object = {}): ServeError {
  try {
    parseRewards({ rewards: [member], ...others }, catalog);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error('accepted');
}

test('a member is of the kind whose key it has, and called after its source', () => {
  expect(sourceOf({ check: 'number', answer: 44 })).toMatchObject({
    id: 'number',
    source: { kind: 'number', answer: '44', extract: { extract: 'last_number' } },
  });
  const extract = { extract: 'json_pointer', pointer: '/a' };
  expect(sourceOf({ check: 'number', answer: '-0.5', extract }).source).toMatchObject({
    answer: '-0.5',
    extract,
  });
  const schema = { type: 'array', items: { enum: [1, 'a', null] } };
  expect(sourceOf({ check: 'json', schema })).toMatchObject({
    id: 'json',
    source: { kind: 'schema', schema },
  });
  expect(sourceOf({ length: 'over', target: 9 }).source).toEqual({
    kind: 'length',
    mode: 'over',
    target: 9,
  });
  expect(sourceOf({ repetition: 'trigrams', weight: -1 }).source).toEqual({ kind: 'repetition' });
  expect(sourceOf({ http: 'taste' }).source).toEqual({ kind: 'http', name: 'taste' });
});

test('steps are judged by sources that read beginnings', () => {
  const steps = { until: ['. '], transform: { type: 'delta' } };
  expect(sourceOf({ model: 'rm-happy-a', steps }).steps).toEqual({
    until: ['. '],
    most: 8,
    transform: { kind: 'delta' },
    aggregate: 'sum',
  });
  expect(sourceOf({ http: 'taste', steps: {} }).steps).toMatchObject({
    until: ['\n'],
    aggregate: 'last',
  });
  for (const member of [{ model: 'rm-late' }, { check: 'number', answer: 1 }, { length: 'over' }])
    expect(refusal({ ...member, steps: {} })).toMatchObject({
      code: 'reward_mismatch',
      param: 'alignment.rewards[0].steps',
    });
});

test.each([
  [{ check: 'magic' }, 'check'],
  [{ check: 'number' }, 'answer'],
  [{ check: 'number', answer: 'forty' }, 'answer'],
  [{ check: 'number', answer: NaN }, 'answer'],
  [{ check: 'number', answer: 4, schema: {} }, 'schema'],
  [{ check: 'number', answer: 4, extract: { extract: 'regex', pattern: '(a+)+' } }, 'extract'],
  [{ check: 'json', schema: {}, answer: 4 }, 'answer'],
  [{ check: 'json' }, 'schema'],
  [{ length: 'short' }, 'length'],
  [{ length: 'over', target: 0 }, 'target'],
  [{ repetition: 3 }, 'repetition'],
  [{ http: 'nowhere' }, 'http'],
  [{ http: 'http://127.0.0.1:1/' }, 'http'],
  [{ http: 'taste', url: 'http://127.0.0.1:1/' }, 'url'],
  [{ http: 'taste', steps: { aggregate: 'max' } }, 'steps.aggregate'],
  [{ http: 'taste', steps: { until: [''] } }, 'steps.until[0]'],
])('%o is refused at %s', (member, param) => {
  expect(refusal(member).param).toBe(`alignment.rewards[0].${param}`);
});

describe('a schema', () => {
  const refused = (schema: unknown) => refusal({ check: 'json', schema });

  test.each([
    [{ $ref: '#/a' }, '$ref'],
    [{ $ref: 'http://127.0.0.1:1/schema.json' }, '$ref'],
    [{ pattern: '(a+)+$' }, 'pattern'],
    [{ properties: { a: { format: 'regex' } } }, 'properties.a.format'],
    [{ type: 'text' }, 'type'],
    [{ items: [] }, 'items'],
    [{ anyOf: [] }, 'anyOf'],
    [{ minLength: -1 }, 'minLength'],
    [7, ''],
  ])('%o is refused', (schema, _at) => {
    const error = refused(schema);
    expect(error.param).toMatch(/^alignment\.rewards\[0\]\.schema/);
    expect(error.message.length).toBeLessThan(500);
  });

  test('of too many values, or nested too deep, is refused before it is looked at', () => {
    let deep: object = {};
    for (let i = 0; i < 100_000; i++) deep = { not: deep };
    expect(refused(deep).message).toContain('deep');
    expect(refused({ enum: Array(1e6).fill(1) }).message).toContain('values');
  });

  test('of any shape is taken as it is, or refused by name', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (schema) => {
        try {
          expect(sourceOf({ check: 'json', schema }).source).toEqual({ kind: 'schema', schema });
        } catch (error) {
          expect(error).toBeInstanceOf(ServeError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('an ensemble names members by id; multipliers need a cap', () => {
  const rewards = [
    { model: 'rm-happy-a', id: 'a' },
    { length: 'over', weight: -1 },
  ];
  const of = (wire: object) => parseRewards({ rewards, ...wire }, catalog)!.plan;
  const plan = of({ ensemble: { members: ['a'], abstain: 0.5 } });
  expect(plan.ensemble).toMatchObject({ members: ['a'], abstain: 0.5 });
  expect(plan.uses.map(({ scale }) => scale)).toEqual([{ mean: 1, std: 2 }, null]);
  const constraints = [{ reward: 'a', cap: 1 }];
  expect(of({ constraints, lagrange: { rate: 2 } })).toMatchObject({
    lagrange: { rate: 2, steps: 10 },
    uses: [{ cap: 1 }, { cap: null }],
  });
  const stranger = refusal(rewards[0], { ensemble: { members: ['b'] } });
  expect(stranger.param).toBe('alignment.ensemble.members[0]');
  expect(refusal(rewards[0], { lagrange: {} }).param).toBe('alignment.lagrange');
  expect(refusal(rewards[0], { constraints, lagrange: {}, ensemble: {} }).param).toBe(
    'alignment.lagrange',
  );
});
