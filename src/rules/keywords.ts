/** Schemas before they are compiled: their keywords checked, references resolved, parts merged, alternatives told apart. */

import { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import { check, flag, integer, joinPath, oneOf, show, text, wrong } from '../core/fields.ts';
import type { Work } from './work.ts';

const KINDS = ['null', 'boolean', 'string', 'number', 'integer', 'array', 'object'] as const;
export type Kind = (typeof KINDS)[number];

const FAR = 1e6;
const real = z.number('a number');
const schemas = z.array(z.unknown(), 'a list of schemas').min(1, 'a list of at least one schema');
const table = z.record(z.string(), z.unknown(), 'an object of schemas');
const names = z.array(z.string('a string'), 'a list of strings');
const refused = z.undefined('left out: this server does not keep this keyword').optional();
const UNSERVED = (
  'multipleOf not if then else maxProperties patternProperties contains minContains maxContains ' +
  'dependencies dependentRequired dependentSchemas unevaluatedItems $dynamicRef $recursiveRef'
).split(' ');

const schema = z.object(
  {
    type: z
      .union([oneOf(KINDS), z.array(oneOf(KINDS)).min(1)], {
        error: `one of ${KINDS.join(', ')}, or a list of them`,
      })
      .optional(),
    enum: z
      .array(z.unknown(), 'a list of values')
      .min(1, 'a list of at least one value')
      .optional(),
    const: z.unknown().optional(),
    anyOf: schemas.optional(),
    oneOf: schemas.optional(),
    allOf: schemas.optional(),
    $ref: text(1024, 1).optional(),
    properties: table.optional(),
    required: names.optional(),
    additionalProperties: z.unknown().optional(),
    propertyNames: z.unknown().optional(),
    items: z.unknown().optional(),
    prefixItems: z.array(z.unknown(), 'a list of schemas').optional(),
    additionalItems: z.unknown().optional(),
    minItems: integer(0, FAR).optional(),
    maxItems: integer(0, Number.MAX_SAFE_INTEGER).optional(),
    minLength: integer(0, FAR).optional(),
    maxLength: integer(0, Number.MAX_SAFE_INTEGER).optional(),
    pattern: z.string('a string').optional(),
    format: z.string('a string').optional(),
    minimum: real.optional(),
    maximum: real.optional(),
    exclusiveMinimum: real.optional(),
    exclusiveMaximum: real.optional(),
    uniqueItems: z.literal(false, 'false or left out: lists are not kept unique').optional(),
    unevaluatedProperties: flag.optional(),
    minProperties: z.literal(0, '0 or left out').optional(),
    ...Object.fromEntries(UNSERVED.map((key) => [key, refused])),
  },
  'a schema: an object, true or false',
);

/** Keywords with their types as JSON Schema has them; what it does not know is left out, as is what only describes. */
export type Schema = z.output<typeof schema>;

/** What may not stand beside a keyword that says all by itself. */
const ALONE = ['$ref', 'anyOf', 'oneOf', 'enum', 'const'] as const;

/** Steps of work that checking a schema takes, and each of its keys. */
const CHECK = 1000;
const KEY = 60;

export class Refs {
  readonly #root: unknown;
  readonly #at: string;
  readonly #work: Work;
  /** What was found of each schema: one may be referred to from many places. */
  readonly #known = new Map<unknown, Schema>();

  constructor(root: unknown, at: string, work: Work) {
    [this.#root, this.#at, this.#work] = [root, at, work];
  }

  checked(raw: unknown, at: string): Schema {
    const known = this.#known.get(raw);
    if (known !== undefined) return known;
    if (Array.isArray(raw)) throw wrong(at, raw, 'a schema: an object, true or false');
    this.#work.spend(CHECK);
    const found = check(schema, raw, at);
    this.#work.spend(KEY * Object.keys(found.properties ?? {}).length);
    refuseCompany(found, at);
    this.#known.set(raw, found);
    return found;
  }

  /** What a reference within the schema points at, and its path. */
  resolve(ref: string, at: string): { readonly schema: unknown; readonly at: string } {
    const bad = (): ServeError =>
      wrong(`${at}.$ref`, ref, 'a pointer into this schema, such as "#/$defs/name"');
    if (ref !== '#' && !ref.startsWith('#/')) throw bad();
    let [target, path] = [this.#root, this.#at];
    for (const part of ref.split('/').slice(1)) {
      const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~');
      if (typeof target !== 'object' || target === null || !Object.hasOwn(target, key)) throw bad();
      target = (target as Record<string, unknown>)[key];
      path = joinPath(path, [key]);
    }
    return { schema: target, at: path };
  }

  /** The schema itself, or what it refers to. */
  followed(raw: unknown, at: string, depth = 0): Schema | null {
    if (typeof raw === 'boolean' || depth > 16) return null;
    const found = this.checked(raw, at);
    if (found.$ref === undefined) return found;
    const target = this.resolve(found.$ref, at);
    return this.followed(target.schema, target.at, depth + 1);
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function refuseCompany(found: Schema, at: string): void {
  const key = ALONE.find((each) => Object.hasOwn(found, each));
  if (key === undefined) return;
  const company = Object.keys(found).find(
    (other) => other !== key && !(other === 'type' && (key === 'enum' || key === 'const')),
  );
  if (company === undefined) return;
  throw new ServeError(
    'invalid_value',
    `${at} has ${company} beside ${key}; this server keeps one of them only`,
    joinPath(at, [company]),
  );
}

const IMPLIED: readonly (readonly [Kind, readonly (keyof Schema)[]])[] = [
  ['object', ['properties', 'required', 'additionalProperties', 'propertyNames']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems']],
  ['string', ['pattern', 'format', 'minLength', 'maxLength']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']],
];

/** The types of a schema's values: as it says, or as its keywords imply; null: all. */
export function kindsOf({ type, ...rest }: Schema, at: string): readonly Kind[] | null {
  if (type !== undefined) {
    const kinds = new Set(typeof type === 'string' ? [type] : type);
    if (kinds.has('number')) kinds.delete('integer');
    return [...kinds];
  }
  const implied = IMPLIED.filter(([, keys]) => keys.some((key) => Object.hasOwn(rest, key)));
  if (implied.length > 1)
    throw new ServeError('invalid_value', `${at} has keywords of several types; give a type`, at);
  return implied[0] === undefined ? null : [implied[0][0]];
}

const DEEPEST_MERGE = 16;

/** Steps of work that merging a part takes, and each of its keys and characters. */
const PART = 200;
const CHARACTERS_PER_STEP = 4;

/** `allOf` and what stands beside it as one schema; keywords must not meet, properties and required may add up. */
export function merged(whole: Schema, refs: Refs, at: string, work: Work, depth = 0): Schema {
  if (depth > DEEPEST_MERGE)
    throw new ServeError(
      'invalid_value',
      `${at}.allOf nests deeper than ${DEEPEST_MERGE}`,
      `${at}.allOf`,
    );
  const { allOf = [], ...own } = whole;
  const parts = allOf.map((part, i) => {
    work.spend(PART);
    const found = refs.followed(part, joinPath(at, ['allOf', i]));
    return found?.allOf === undefined ? found : merged(found, refs, at, work, depth + 1);
  });
  const all: Record<string, unknown> = { ...own };
  for (const [i, part] of parts.entries()) {
    if (part === null) throw wrong(joinPath(at, ['allOf', i]), allOf[i], 'an object');
    for (const [key, value] of Object.entries(part)) {
      const known = all[key];
      if (known === undefined || isSame(known, value, work)) all[key] = value;
      else if (key === 'required') all[key] = joined(known as string[], value as string[], work);
      else if (key === 'properties')
        all[key] = together(known as object, value as object, at, work);
      else throw clash(key, at);
    }
  }
  const found = refs.checked(all, at);
  const names = Object.keys(found.properties ?? {});
  for (const part of [own, ...parts])
    if (part !== null && forbids(part, names, work))
      throw new ServeError(
        'invalid_value',
        `${at}.allOf has a part whose additionalProperties forbid properties of another; no value fits`,
        `${at}.allOf`,
      );
  return found;
}

function isSame(a: unknown, b: unknown, work: Work): boolean {
  if (a === b) return true;
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  work.spend((left.length + right.length) / CHARACTERS_PER_STEP);
  return left === right;
}

function forbids(
  { additionalProperties: others, properties = {} }: Omit<Schema, 'allOf'>,
  names: readonly string[],
  work: Work,
): boolean {
  if (others === undefined || others === true) return false;
  work.spend(KEY * names.length);
  return names.some((name) => !Object.hasOwn(properties, name));
}

function joined(a: readonly string[], b: readonly string[], work: Work): string[] {
  work.spend(KEY * (a.length + b.length));
  return [...new Set([...a, ...b])];
}

function together(a: object, b: object, at: string, work: Work): object {
  work.spend(KEY * (Object.keys(a).length + Object.keys(b).length));
  const shared = Object.keys(b).find((name) => Object.hasOwn(a, name));
  if (shared !== undefined) throw clash(`property ${show(shared)}`, at);
  return { ...a, ...b };
}

const clash = (what: string, at: string): ServeError =>
  new ServeError(
    'invalid_value',
    `${at}.allOf gives ${what} twice; this server cannot merge them`,
    `${at}.allOf`,
  );

/** The values that a schema lists, if it lists any. */
export const valuesOf = (found: Schema): readonly unknown[] | null =>
  found.enum ?? (Object.hasOwn(found, 'const') ? [found.const] : null);
