/** Bounded fields for schemas of what comes from outside, and how a misfit reads: what it is, what was given, what would do. */

import { z } from 'zod';
import { ServeError } from './errors.ts';

export const number = (least: number, most: number) => {
  const rule = `a number from ${least} to ${most}`;
  return z.number(rule).min(least, rule).max(most, rule);
};

export const integer = (least: number, most: number) => {
  const rule = `an integer from ${least} to ${most}`;
  return z.int(rule).min(least, rule).max(most, rule);
};

/** A string of `shortest` to `longest` UTF-16 units. */
export const text = (longest: number, shortest = 0) => {
  const rule = `a string of ${shortest} to ${longest} characters`;
  return z.string(rule).min(shortest, rule).max(longest, rule);
};

/** Read by hand, later. */
export const anything = z.unknown().optional();

export const flag = z.boolean('true or false');

export const oneOf = <const T extends readonly string[]>(values: T) =>
  z.enum(values, `one of ${values.join(', ')}`);

/** Its length is checked before any item is looked at. */
export const list = <S extends z.ZodType>(item: S, longest: number, shortest = 0) => {
  const rule = `a list of ${shortest} to ${longest}`;
  return z
    .array(z.unknown(), rule)
    .min(shortest, rule)
    .max(longest, rule)
    .pipe(z.array(item, rule));
};

/** A field that may be left out; null means left out. */
export const either = <S extends z.ZodType>(schema: S, otherwise: z.output<S>) =>
  schema.nullish().transform((value): z.output<S> => value ?? otherwise);

/** The fields that an object gives: null in a field means left out. */
export const withoutNulls = (fields: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));

/** An object of any keys that fit `key`. */
export const table = <S extends z.ZodType>(key: z.ZodString, value: S, rule: string) =>
  z.record(key, value, {
    error: (issue) => (issue.code === 'invalid_key' ? issue.issues[0]?.message : rule),
  });

/** An object that knows all its keys. */
export const strict = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.strictObject(shape, { error: (issue) => objectRule(issue.code, Object.keys(shape)) });

/** An object whose unknown keys are ignored, and left out of the result. */
export const tolerant = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.object(shape, { error: (issue) => objectRule(issue.code, Object.keys(shape)) });

/** A schema for the limits of a server, built once: that takes longer than to check a body with it. */
export function perLimits<L extends object, S>(schemaFor: (limits: L) => S): (limits: L) => S {
  const built = new WeakMap<L, S>();
  return (limits) => {
    const schema = built.get(limits) ?? schemaFor(limits);
    built.set(limits, schema);
    return schema;
  };
}

const objectRule = (code: string, keys: readonly string[]): string =>
  code === 'unrecognized_keys' ? `known here: ${keys.join(', ')}` : 'an object';

/**
 * What the schema makes of `raw`.
 * @param at path of `raw` in the request; empty for the whole of it
 * @throws ServeError with the path of the first field that does not fit
 */
export function check<S extends z.ZodType>(schema: S, raw: unknown, at: string): z.output<S> {
  const result = schema.safeParse(raw, { reportInput: true });
  if (result.success) return result.data;
  throw misfit(result.error, at);
}

/** What the schema makes of `raw`. @throws ZodError which, other than that of a plain `parse`, holds what was given */
export const read = <S extends z.ZodType>(schema: S, raw: unknown): z.output<S> =>
  schema.parse(raw, { reportInput: true });

/** The first issue of a failed parse as a client's error. */
export function misfit(error: z.ZodError, at: string): ServeError {
  const issue = error.issues[0];
  if (!issue) return wrong(at, undefined, 'valid');
  const param = joinPath(at, issue.path);
  if (issue.code !== 'unrecognized_keys') return wrong(param, issue.input, issue.message);
  const key = joinPath(param, issue.keys.slice(0, 1));
  return new ServeError('unknown_parameter', `${key} is not a parameter; ${issue.message}`, key);
}

/** The usual refusal of a value. */
export function wrong(param: string, given: unknown, rule: string): ServeError {
  const name = param === '' ? 'the request body' : param;
  const state = given === undefined ? 'is missing' : `is ${show(given)}`;
  return new ServeError(
    'invalid_value',
    `${name} ${state}; it must be ${rule}`,
    param === '' ? null : param,
  );
}

/** `alignment.guides[0].model` */
export const joinPath = (at: string, path: readonly PropertyKey[]): string =>
  path.reduce<string>((left, key) => {
    if (typeof key === 'number') return `${left}[${key}]`;
    const name = show(String(key), 64).slice(1, -1);
    return left === '' ? name : `${left}.${name}`;
  }, at);

/** A value as JSON, cut to a length that fits in a message. */
export function show(value: unknown, longest = 60): string {
  if (typeof value === 'string') return cut(JSON.stringify(value.slice(0, longest + 1)), longest);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return cut(String(value), longest);
}

const cut = (shown: string, longest: number): string =>
  shown.length > longest + 2 ? `${shown.slice(0, longest)}..."` : shown;
