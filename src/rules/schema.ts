/**
 * JSON Schema to a network that spells only what the schema accepts. Where it cannot spell all of that, it spells
 * less; a keyword that it cannot keep is refused, never ignored. Properties come in the order of the schema.
 */

import { ServeError } from '../core/errors.ts';
import { joinPath, show, wrong } from '../core/fields.ts';
import { both, fixedDfa, lengthDfa, regexDfa, type Dfa } from './dfa.ts';
import { FORMATS } from './formats.ts';
import type { Json } from './json.ts';
import { kindsOf, merged, Refs, type Kind, type Schema } from './keywords.ts';
import type { State } from './network.ts';
import { integers, numbers, type Bounds } from './numbers.ts';
import { ObjectRule } from './object.ts';
import { BadRegex } from './regex.ts';
import { clashing } from './traits.ts';
import { TooLarge, type Work } from './work.ts';

/** Bounds on one schema. */
export interface SchemaLimits {
  readonly depth: number;
  /** Schemas within it, itself counted. */
  readonly schemas: number;
  /** Values in all `enum` and `const`. */
  readonly values: number;
  /** Characters of one pattern. */
  readonly pattern: number;
}

/** Longer strings and lists are never spelled: a bound past these is read as these. */
const LONGEST_STRING = 1024;
const LONGEST_PATTERNED = 64;
const LONGEST_LIST = 1024;

/** A rule that is being written. */
export interface Writing {
  readonly json: Json;
  readonly work: Work;
}

export class SchemaCompiler {
  readonly json: Json;
  readonly refs: Refs;
  readonly work: Work;
  readonly #limits: SchemaLimits;
  #schemas = 0;
  #values = 0;

  /** @param root the whole schema, and the path of its field */
  constructor(
    { json, work }: Writing,
    root: { schema: unknown; at: string },
    limits: SchemaLimits,
  ) {
    [this.json, this.work] = [json, work];
    this.refs = new Refs(root.schema, root.at, work);
    this.#limits = limits;
  }

  /** A value of `raw` from `from` to `to`. @throws ServeError with the path of the keyword at fault */
  value(raw: unknown, from: State, to: State, at: string, depth = 0): void {
    const { depth: deepest, schemas } = this.#limits;
    if (depth > deepest) throw tooLarge(at, `nests deeper than ${deepest}`);
    if (++this.#schemas > schemas) throw tooLarge(at, `holds more than ${schemas} schemas`);
    if (raw === true) return this.json.any(from, to);
    if (raw === false) return;
    const schema = this.refs.checked(raw, at);
    if (schema.$ref !== undefined) return this.#ref(schema.$ref, from, to, at, depth);
    if (schema.allOf !== undefined)
      return this.value(merged(schema, this.refs, at, this.work), from, to, at, depth + 1);
    const alternatives = schema.anyOf ?? schema.oneOf;
    if (alternatives !== undefined) return this.#union(schema, from, to, at, depth);
    const values = schema.enum ?? (Object.hasOwn(schema, 'const') ? [schema.const] : undefined);
    if (values !== undefined) return this.#constants(schema, values, from, to, at);
    const kinds = kindsOf(schema, at);
    if (kinds === null) return this.json.any(from, to);
    for (const kind of kinds) this.#typed(kind, schema, from, to, at, depth);
  }

  /** A rule of its own, for what is read more than once: known by the schema itself, since paths are cut and may be equal. */
  rule(raw: unknown, at: string, depth: number): State {
    const known = typeof raw === 'object' && raw !== null ? raw : `schema ${JSON.stringify(raw)}`;
    return this.json.rule(known, (from, to) => this.value(raw, from, to, at, depth));
  }

  #ref(ref: string, from: State, to: State, at: string, depth: number): void {
    const target = this.refs.resolve(ref, at);
    this.json.network.call(from, this.rule(target.schema, target.at, depth + 1), to);
  }

  #union({ anyOf, oneOf }: Schema, from: State, to: State, at: string, depth: number): void {
    const [key, parts] = anyOf === undefined ? ['oneOf', oneOf!] : ['anyOf', anyOf];
    const clash = key === 'oneOf' ? clashing(parts, this.refs, at, this.work) : null;
    if (clash !== null)
      throw new ServeError(
        'invalid_value',
        `${at}.oneOf[${clash[0]}] and [${clash[1]}] may both accept one value; use anyOf, or give both a required property with different const values`,
        `${at}.oneOf[${clash[1]}]`,
      );
    parts.forEach((part, i) => this.value(part, from, to, joinPath(at, [key, i]), depth + 1));
  }

  #constants(schema: Schema, values: readonly unknown[], from: State, to: State, at: string): void {
    const most = this.#limits.values;
    this.#values += values.length;
    if (this.#values > most) throw tooLarge(at, `lists more than ${most} values`);
    const kinds = schema.type === undefined ? null : kindsOf(schema, at);
    const fitting = values.filter(
      (value) => kinds === null || kinds.some((kind) => isA(kind, value)),
    );
    this.json.network.choice(
      from,
      fitting.map((value) => JSON.stringify(value)),
      to,
    );
  }

  #typed(kind: Kind, schema: Schema, from: State, to: State, at: string, depth: number): void {
    const { json } = this;
    switch (kind) {
      case 'null':
        return json.network.literal(from, 'null', to);
      case 'boolean':
        return json.network.choice(from, ['true', 'false'], to);
      case 'string':
        return this.#string(schema, from, to, at);
      case 'number':
        return this.#number(numbers(boundsOf(schema)), from, to);
      case 'integer':
        return this.#number(integers(boundsOf(schema)), from, to);
      case 'array':
        return this.#array(schema, from, to, at, depth);
      case 'object':
        return new ObjectRule(this, schema, at, depth).write(from, to);
      default:
        return kind satisfies never;
    }
  }

  #number(pattern: string | null, from: State, to: State): void {
    if (pattern === null) return;
    const { json } = this;
    json.call(
      `number ${pattern}`,
      (a, b) => json.text(regexDfa(pattern, false, this.work), 'raw', a, b),
      from,
      to,
    );
  }

  #string(schema: Schema, from: State, to: State, at: string): void {
    const { minLength: least = 0, maxLength: most = Infinity } = schema;
    if (least > LONGEST_STRING)
      throw wrong(`${at}.minLength`, least, `at most ${LONGEST_STRING} on this server`);
    const patterns = this.#patterns(schema, at);
    if (patterns.length > 0)
      return this.json.quoted(this.#narrowed(patterns, least, most, at), from, to);
    if (least === 0 && most === Infinity) return this.json.string(from, to);
    this.json.stringOf(least, Math.min(most, Math.max(least, LONGEST_STRING)), from, to);
  }

  #patterns({ pattern, format }: Schema, at: string): Dfa[] {
    const dfas: Dfa[] = [];
    if (pattern !== undefined) {
      const most = this.#limits.pattern;
      if (pattern.length > most)
        throw tooLarge(`${at}.pattern`, `has more than ${most} characters`);
      dfas.push(compiled(() => regexDfa(pattern, true, this.work), `${at}.pattern`, pattern));
    }
    const known = format === undefined || !Object.hasOwn(FORMATS, format) ? null : FORMATS[format]!;
    if (known !== null) dfas.push(fixedDfa(known));
    return dfas;
  }

  #narrowed(patterns: readonly Dfa[], least: number, most: number, at: string): Dfa {
    const long = most === Infinity ? most : Math.min(most, Math.max(least, LONGEST_PATTERNED));
    const bounded =
      least === 0 && most === Infinity
        ? patterns
        : [...patterns, lengthDfa(least, long, this.work)];
    return compiled(
      () => bounded.reduce((a, b) => both(a, b, this.work)),
      at,
      'its pattern and its lengths',
    );
  }

  #array(schema: Schema, from: State, to: State, at: string, depth: number): void {
    const { network } = this.json;
    const [key, tuple] = Array.isArray(schema.items)
      ? ['items', schema.items]
      : ['prefixItems', schema.prefixItems ?? []];
    const rest = Array.isArray(schema.items) ? schema.additionalItems : schema.items;
    const limit = Math.min(schema.maxItems ?? Infinity, rest === false ? tuple.length : Infinity);
    const least = Math.max(schema.minItems ?? 0, Math.min(tuple.length, limit));
    if (least > LONGEST_LIST)
      throw wrong(`${at}.minItems`, least, `at most ${LONGEST_LIST} on this server`);
    const most = limit === Infinity ? limit : Math.min(limit, Math.max(least, LONGEST_LIST));
    const open = network.state();
    network.literal(from, '[', open);
    let done = open;
    const item = (entry: State, n: number, end: State): void => {
      if (n < tuple.length) this.value(tuple[n], entry, end, joinPath(at, [key, n]), depth + 1);
      else network.call(entry, this.rule(rest ?? true, `${at}.items`, depth + 1), end);
    };
    const steps = most === Infinity ? Math.max(least, tuple.length, 1) : most;
    for (let n = 0; n < steps; n++) {
      if (n >= least) network.literal(done, ']', to);
      const end = network.state();
      item(n === 0 ? done : this.json.after(done, ','), n, end);
      done = end;
    }
    network.literal(done, ']', to);
    if (most === Infinity) item(this.json.after(done, ','), Infinity, done);
  }
}

const boundsOf = (schema: Schema): Bounds => {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema;
  return {
    minimum: Math.max(minimum, exclusiveMinimum),
    maximum: Math.min(maximum, exclusiveMaximum),
    above: exclusiveMinimum >= minimum && exclusiveMinimum !== -Infinity,
    below: exclusiveMaximum <= maximum && exclusiveMaximum !== Infinity,
  };
};

function isA(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    case 'boolean':
    case 'number':
    case 'string':
      return typeof value === kind;
    default:
      return kind satisfies never;
  }
}

const tooLarge = (at: string, how: string): ServeError =>
  new ServeError('invalid_value', `${at} ${how}, which is all this server compiles`, at);

function compiled(work: () => Dfa, at: string, given: string): Dfa {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BadRegex) && !(error instanceof TooLarge)) throw error;
    throw new ServeError('invalid_value', `${at} is ${show(given)}; it ${error.message}`, at);
  }
}
