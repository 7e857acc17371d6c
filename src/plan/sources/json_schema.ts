/**
 * JSON schemas that clients bring: a subset that can be checked in time linear in schema and text. No `$ref`, so
 * that nothing is fetched and nothing recurs; no `pattern` and `format`, so that no client's expression runs.
 */

import { z } from 'zod';
import {
  check,
  flag,
  integer,
  list,
  number,
  oneOf,
  strict,
  table,
  wrong,
} from '../../core/fields.ts';
import type { JsonSchema } from '../../core/reward.ts';
import type { Limits } from '../catalog.ts';

const COUNT = integer(0, 1_000_000_000);
const FAR = number(-Number.MAX_VALUE, Number.MAX_VALUE);
const MANY = 1_000_000; // the node limit is met first
const type = oneOf(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']);
const values = z.custom((raw) => raw !== undefined, 'a JSON value');

const schema: z.ZodType = z.lazy(() => z.union([flag, keywords], { error: 'a JSON schema' }));
const several = list(schema, MANY, 1);

const keywords = strict({
  $schema: z.string('a string').optional(),
  title: z.string('a string').optional(),
  description: z.string('a string').optional(),
  type: z.union([type, list(type, 7, 1)], { error: 'a type, or a list of them' }).optional(),
  enum: list(values, MANY, 1).optional(),
  const: values.optional(),
  anyOf: several.optional(),
  oneOf: several.optional(),
  allOf: several.optional(),
  not: schema.optional(),
  properties: table(z.string(), schema, 'an object of schemas').optional(),
  additionalProperties: schema.optional(),
  required: list(z.string('a string'), MANY).optional(),
  minProperties: COUNT.optional(),
  maxProperties: COUNT.optional(),
  items: schema.optional(),
  prefixItems: several.optional(),
  minItems: COUNT.optional(),
  maxItems: COUNT.optional(),
  minLength: COUNT.optional(),
  maxLength: COUNT.optional(),
  minimum: FAR.optional(),
  maximum: FAR.optional(),
  exclusiveMinimum: FAR.optional(),
  exclusiveMaximum: FAR.optional(),
  multipleOf: number(Number.MIN_VALUE, Number.MAX_VALUE).optional(),
});

/** @throws ServeError that names the keyword at fault */
export function boundedSchema(
  raw: unknown,
  at: string,
  { rules: { values: most, depth } }: Limits,
): JsonSchema {
  if (!fits(raw, most, depth))
    throw wrong(at, raw, `a schema of at most ${most} values, nested at most ${depth} deep`);
  check(schema, raw, at);
  return raw as JsonSchema; // as it came: what has just been checked
}

/** Counted without recursion: it is not known yet how deep it nests. */
function fits(raw: unknown, nodes: number, depth: number): boolean {
  const open: [value: unknown, depth: number][] = [[raw, 0]];
  for (let count = 1; open.length > 0;) {
    const [value, at] = open.pop()!;
    if (typeof value !== 'object' || value === null) continue;
    const inner = Object.values(value);
    count += inner.length;
    if (count > nodes || at >= depth) return false;
    for (const each of inner) open.push([each, at + 1]);
  }
  return true;
}
