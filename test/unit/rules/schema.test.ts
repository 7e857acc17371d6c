import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ServeError } from '../../../src/core/errors.ts';
import type { Vocabulary } from '../../../src/core/model.ts';
import type { RuleState } from '../../../src/core/rule.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { fakeVocabulary } from '../../fakes/model.ts';
import { talesCodec } from '../../fakes/models.ts';
import { ruleFor } from '../../fakes/rule.ts';
import { Automaton } from '../../../src/rules/automaton.ts';
import { spell } from '../../support/spell.ts';

const TALES = talesCodec().vocabulary;
const BYTES = byteCodec.vocabulary;

const startOf = (vocabulary: Vocabulary, schema: unknown): RuleState =>
  new Automaton(ruleFor(vocabulary, { kind: 'schema', schema }), vocabulary, 1 << 22).start;

const names = fc.constantFrom('a', 'name', 'the "key"', 'ключ', '🙂', '', 'a\\b');
const bounded = (a: number, b: number): [number, number] => [Math.min(a, b), Math.max(a, b)];

const { schema: schemas } = fc.letrec<{ schema: object }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'schema' },
    fc.constant({ type: 'boolean' }),
    fc.constant({ type: 'null' }),
    fc.constant({ type: 'string' }),
    fc.constant({}),
    fc.constant({ type: ['string', 'null', 'number'] }),
    fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => {
      const [minLength, maxLength] = bounded(a, b);
      return { type: 'string', minLength, maxLength };
    }),
    fc
      .constantFrom('^[a-c]{2,4}$', 'x', '^(ab|"q"|\\n)+$', '^\\w+ \\d*\\.?$', '[^a-z]$', '^é?$')
      .map((pattern) => ({ type: 'string', pattern })),
    fc.tuple(fc.integer({ min: -999, max: 999 }), fc.nat(500)).map(([minimum, more]) => ({
      type: 'integer',
      minimum,
      maximum: minimum + more,
    })),
    fc.tuple(fc.integer({ min: -99, max: 99 }), fc.nat(40)).map(([minimum, more]) => ({
      type: 'number',
      minimum: minimum / 10,
      exclusiveMaximum: (minimum + more + 1) / 10,
    })),
    fc.record({
      enum: fc.array(fc.jsonValue({ maxDepth: 0 }), { minLength: 1, maxLength: 5 }),
    }),
    fc.tuple(tie('schema'), fc.nat(3), fc.nat(3)).map(([items, a, b]) => {
      const [minItems, maxItems] = bounded(a, b);
      return { type: 'array', items, minItems, maxItems };
    }),
    fc.tuple(tie('schema'), tie('schema')).map((prefixItems) => ({
      type: 'array',
      prefixItems,
      items: false,
    })),
    fc
      .tuple(
        fc.dictionary(names, tie('schema'), { maxKeys: 4 }),
        fc.array(names, { maxLength: 3 }),
        fc.constantFrom(undefined, false, true, { type: 'integer' }),
      )
      .map(([properties, asked, others]) => ({
        type: 'object',
        properties,
        required: asked.filter((name) => Object.hasOwn(properties, name)),
        ...(others === undefined ? {} : { additionalProperties: others }),
      })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}));

/** What zod, which reads schemas by itself, says of a value. */
const accepts = (schema: object, value: unknown): boolean =>
  z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;

describe.each([
  ['2048 tokens', TALES],
  ['bytes', BYTES],
])('a rule from a schema, over %s', (_, vocabulary) => {
  test('any text it lets be written is JSON that the schema accepts, and ends within the limit', () => {
    fc.assert(
      fc.property(schemas, fc.nat(60), fc.integer(), (schema, extra, seed) => {
        const start = startOf(vocabulary, schema);
        const room = start.distance + 1 + extra;
        const { text, ended } = spell(start, vocabulary, { room, seed });
        expect(ended, text).toBe(true);
        const value: unknown = JSON.parse(text);
        if (!accepts(schema, value))
          throw new Error(`${text} does not fit ${JSON.stringify(schema)}`);
      }),
      { numRuns: 150 },
    );
  });

  test('json_object is an object, however deep', () => {
    const network = ruleFor(vocabulary, { kind: 'object' });
    const { start } = new Automaton(network, vocabulary, 1 << 22);
    for (let seed = 0; seed < 40; seed++) {
      const { text, ended } = spell(start, vocabulary, { room: 4 + 3 * seed, seed });
      expect(ended).toBe(true);
      expect(JSON.parse(text)).toBeTypeOf('object');
    }
  });

  test('a reference to itself may nest, and always comes to an end', () => {
    const node = {
      type: 'object',
      properties: { id: { type: 'integer' }, next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
      required: ['id', 'next'],
      additionalProperties: false,
    };
    const start = startOf(vocabulary, node);
    let deepest = 0;
    for (let seed = 0; seed < 60; seed++) {
      const { text, ended } = spell(start, vocabulary, { room: 200, seed });
      expect(ended).toBe(true);
      let depth = 0;
      type Node = { next: Node } | null;
      for (let at = JSON.parse(text) as Node; at !== null; at = at.next) depth++;
      deepest = Math.max(deepest, depth);
    }
    expect(deepest).toBeGreaterThan(2);
  });
});

test('too short a limit leaves a text that is cut, on the shortest way to its end', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'integer' } },
    required: ['a', 'b'],
  };
  const { text, ended } = spell(startOf(BYTES, schema), BYTES, { room: 9, seed: 1 });
  expect(ended).toBe(false);
  expect(text).toBe('{"a":"","');
});

const from = (schema: object, seeds = 60, room = 300): unknown[] => {
  const start = startOf(TALES, schema);
  return Array.from({ length: seeds }, (_, seed) => {
    const { text, ended } = spell(start, TALES, { room, seed });
    expect(ended).toBe(true);
    return JSON.parse(text) as unknown;
  });
};

test('zod schemas, as the SDK sends them, are spelled and parsed back', () => {
  const schema = z.object({
    title: z.string().min(3).max(20),
    kind: z.enum(['kite', 'boat']),
    count: z.int().min(1).max(12),
    share: z.number().min(0).max(1),
    mail: z.email(),
    day: z.iso.date(),
    at: z.iso.datetime(),
    id: z.uuid(),
    note: z.string().nullable(),
    pair: z.tuple([z.boolean(), z.string()]),
    byName: z.record(z.string(), z.int()),
    one: z.discriminatedUnion('type', [
      z.object({ type: z.literal('a'), x: z.int() }),
      z.object({ type: z.literal('b'), y: z.string() }),
    ]),
    maybe: z.boolean().optional(),
  });
  for (const value of from(z.toJSONSchema(schema), 30))
    expect(() => schema.parse(value)).not.toThrow();
});

test('optional properties come and go, in the order of the schema', () => {
  const schema = {
    properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } },
    required: ['b'],
  };
  const seen = new Set(from(schema).map((value) => JSON.stringify(value)));
  expect([...seen].toSorted()).toEqual(
    ['{"a":1,"b":2,"c":3}', '{"a":1,"b":2}', '{"b":2,"c":3}', '{"b":2}'].toSorted(),
  );
});

test('allOf adds up; what nothing can satisfy is refused', () => {
  const part = (name: string) => ({ properties: { [name]: { const: name } }, required: [name] });
  expect(from({ allOf: [part('a'), part('b')] }, 1)).toEqual([{ a: 'a', b: 'b' }]);
  const closed = { ...part('a'), additionalProperties: false };
  expect(() => from({ allOf: [closed, part('b')] })).toThrow(/no value fits/);
  expect(() => from({ type: 'object', required: ['x'], additionalProperties: false })).toThrow(
    /accepts nothing/,
  );
});

test('a vocabulary that cannot spell JSON is told so', () => {
  expect(() => ruleFor(fakeVocabulary(27), { kind: 'object' })).toThrow(
    /accepts nothing that can be written with the tokens of test/,
  );
});

const deep = (n: number): object => (n === 0 ? {} : { type: 'array', items: deep(n - 1) });
const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, {}]));

test('many patterns, each dear to compile and small at the end, share one bound', () => {
  const pattern = (i: number): object => ({ type: 'string', pattern: `^(?=.*a.{8}b)c{3}${i}$` });
  const properties = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`k${i}`, pattern(i)]),
  );
  const ask = { kind: 'schema', schema: { properties } } as const;
  expect(() => ruleFor(TALES, ask, { states: 1_000_000 })).toThrow(/too much work/);
});

/** Levels of two references each: as a tree it has 2^16 leaves. */
const doubled = Array.from({ length: 16 }, (_, i): [string, object] => [
  `a${i}`,
  i === 15 ? {} : { allOf: [{ $ref: `#/$defs/a${i + 1}` }, { $ref: `#/$defs/a${i + 1}` }] },
]);
const many = <T>(count: number, of: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => of(i));
/** Each held a server for seconds, or for ever, while it was compiled. */
const DEAR: readonly [name: string, schema: object][] = [
  ['alternatives that are compared in pairs', { oneOf: many(1900, (i) => ({ const: i })) }],
  [
    'references to one wide schema',
    {
      $defs: { wide: { properties: Object.fromEntries(many(2000, (i) => [`k${i}`, true])) } },
      allOf: many(1000, () => ({ $ref: '#/$defs/wide' })),
    },
  ],
  ['parts that double', { $defs: Object.fromEntries(doubled), allOf: [{ $ref: '#/$defs/a0' }] }],
];

test.each(DEAR)('%s: the work of all of a rule has one bound', (_, schema) => {
  expect(() => ruleFor(TALES, { kind: 'schema', schema })).toThrow(/takes too much work/);
});

test('functions share the bound of their rule', () => {
  const schema = { properties: { a: { type: 'string', pattern: '^(?=.*a.{8}b)c{3}$' } } };
  const functions = many(40, (i) => ({ name: `f${i}`, schema, at: 'tools' }));
  const ask = { kind: 'tools', many: true, otherwise: null, functions } as const;
  expect(() => ruleFor(TALES, ask)).toThrow(/takes too much work/);
});

test('schemas whose paths read alike are not taken for each other', () => {
  const list = (type: string): object => ({ type: 'array', items: { type }, minItems: 1 });
  const long = 'x'.repeat(100);
  const schema = {
    properties: {
      a: { properties: { b: list('boolean') }, required: ['b'] },
      'a.properties.b': list('null'),
      [`${long}1`]: list('boolean'),
      [`${long}2`]: list('null'),
    },
    required: ['a', 'a.properties.b', `${long}1`, `${long}2`],
  };
  for (const value of from(schema, 10)) expect(accepts(schema, value)).toBe(true);
});

const HOSTILE: readonly [schema: unknown, param: string][] = [
  [5, 'rule'],
  [[], 'rule'],
  [{ type: 5 }, 'rule.type'],
  [{ type: 'banana' }, 'rule.type'],
  [{ type: [] }, 'rule.type'],
  [{ properties: [] }, 'rule.properties'],
  [{ properties: { a: { type: 'x' } } }, 'rule.properties.a.type'],
  [{ required: 'a' }, 'rule.required'],
  [{ items: { minLength: -1 } }, 'rule.items.minLength'],
  [{ type: 'string', maxLength: 1.5 }, 'rule.maxLength'],
  [{ type: 'string', minLength: 1e9 }, 'rule.minLength'],
  [{ type: 'string', pattern: '((((' }, 'rule.pattern'],
  [{ type: 'string', pattern: '(?<=a)b' }, 'rule.pattern'],
  [{ type: 'string', pattern: '(a)\\1' }, 'rule.pattern'],
  [{ type: 'string', pattern: '^(a|b)*a(a|b){24}$' }, 'rule.pattern'],
  [{ type: 'string', pattern: 'a{1,4000}b{1,4000}' }, 'rule.pattern'],
  [{ type: 'string', pattern: 'x'.repeat(1001) }, 'rule.pattern'],
  [{ type: 'string', pattern: '('.repeat(500) + ')'.repeat(500) }, 'rule.pattern'],
  [{ $ref: 'https://example.com/schema' }, 'rule.$ref'],
  [{ $ref: '#/$defs/none' }, 'rule.$ref'],
  [{ $ref: '#' }, 'rule'],
  [{ allOf: [{ $ref: '#' }] }, 'rule.allOf'],
  [{ properties: { a: { $ref: '#' } }, required: ['a'] }, 'rule'],
  [{ anyOf: [] }, 'rule.anyOf'],
  [{ anyOf: [{}], type: 'string' }, 'rule.type'],
  [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, 'rule.oneOf[1]'],
  [{ enum: [] }, 'rule.enum'],
  [{ enum: Array.from({ length: 5000 }, (_, i) => i) }, 'rule'],
  [{ not: {} }, 'rule.not'],
  [{ type: 'integer', multipleOf: 3 }, 'rule.multipleOf'],
  [{ type: 'integer', minimum: 2, maximum: 1 }, 'rule'],
  [{ type: 'array', items: {}, uniqueItems: true }, 'rule.uniqueItems'],
  [{ type: 'array', minItems: 5000 }, 'rule.minItems'],
  [deep(40), 'rule' + '.items'.repeat(33)],
  [deep(150), 'rule'],
  [{ properties: wide }, 'rule'],
  [{ properties: Object.fromEntries(Object.entries(wide).slice(0, 3000)) }, 'rule'],
  [{ const: 'x'.repeat(70_000) }, 'rule'],
  [{ const: 'x'.repeat(30_000) }, 'rule'],
];

test.each(HOSTILE.map(([schema, param], i) => [i, param, schema] as const))(
  'hostile schema %i is refused by the field %s',
  (_, param, schema) => {
    let refusal: unknown = null;
    try {
      ruleFor(TALES, { kind: 'schema', schema });
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(ServeError);
    expect(refusal).toMatchObject({ code: 'invalid_value', param });
  },
);
