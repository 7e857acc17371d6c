/**
 * Objects: the schema's properties in their order, optional ones skipped at will, then any others where the schema
 * asks for them. A name is spelled in one way only, so other names never repeat a declared one.
 */

import { ServeError } from '../core/errors.ts';
import { joinPath, wrong } from '../core/fields.ts';
import { except, fixedDfa } from './dfa.ts';
import { kindsOf, type Schema } from './keywords.ts';
import type { State } from './network.ts';
import type { SchemaCompiler } from './schema.ts';

/** Any text. */
const ANYTHING = '[^]*';

interface Property {
  readonly name: string;
  readonly schema: unknown;
  readonly at: string;
  readonly required: boolean;
}

export class ObjectRule {
  readonly #compiler: SchemaCompiler;
  readonly #schema: Schema;
  readonly #at: string;
  readonly #depth: number;

  constructor(compiler: SchemaCompiler, schema: Schema, at: string, depth: number) {
    [this.#compiler, this.#schema, this.#at, this.#depth] = [compiler, schema, at, depth];
  }

  write(from: State, to: State): void {
    const properties = this.#properties();
    const others = this.#schema.additionalProperties ?? properties.length === 0;
    if (properties.length === 0 && others !== false) return this.#free(others, from, to);
    if (this.#schema.propertyNames !== undefined)
      throw wrong(
        `${this.#at}.propertyNames`,
        this.#schema.propertyNames,
        'left out beside properties',
      );
    this.#ordered(properties, others, from, to);
  }

  #properties(): Property[] {
    const { properties = {}, additionalProperties } = this.#schema;
    const required = new Set(this.#schema.required);
    const declared = Object.entries(properties).map(([name, schema]) => ({
      name,
      schema,
      at: joinPath(this.#at, ['properties', name]),
      required: required.has(name),
    }));
    const undeclared = [...required].filter((name) => !Object.hasOwn(properties, name));
    return [
      ...declared,
      ...undeclared.map((name) => ({
        name,
        schema: additionalProperties ?? true,
        at: `${this.#at}.required`,
        required: true,
      })),
    ];
  }

  /** choose[i]: property i or a later one comes next, whether the brace or a comma came before. */
  #ordered(properties: readonly Property[], others: unknown, from: State, to: State): void {
    const { json } = this.#compiler;
    const { network } = json;
    const close = network.state();
    network.literal(close, '}', to);
    const tail = others === false ? null : this.#others(others, properties, close);
    const choose = [...properties.map(() => network.state()), tail];
    const last = properties.findLastIndex(({ required }) => required);
    const open = network.state();
    network.literal(from, '{', open);
    if (choose[0] !== null) network.jump(open, choose[0]!);
    if (last < 0) network.jump(open, close);
    properties.forEach(({ name, schema, at, required }, i) => {
      const [here, next] = [choose[i]!, choose[i + 1] ?? null];
      const [key, after] = [network.state(), network.state()];
      network.literal(here, JSON.stringify(name), key);
      this.#compiler.value(schema, json.after(key, ':'), after, at, this.#depth + 1);
      if (next !== null) {
        network.jump(json.after(after, ','), next);
        if (!required) network.jump(here, next);
      }
      if (i >= last) network.jump(after, close);
    });
  }

  /** Entries of other names, from the state that is returned on to `close`. */
  #others(schema: unknown, properties: readonly Property[], close: State): State {
    const { json } = this.#compiler;
    const { network } = json;
    const [entry, key, done] = [network.state(), network.state(), network.state()];
    const names = properties.map(({ name }) => name);
    json.quoted(except(fixedDfa(ANYTHING), names, this.#compiler.work), entry, key);
    const rule = this.#compiler.rule(schema, `${this.#at}.additionalProperties`, this.#depth + 1);
    network.call(json.after(key, ':'), rule, done);
    network.jump(json.after(done, ','), entry);
    network.jump(done, close);
    return entry;
  }

  /** Entries of any names. */
  #free(schema: unknown, from: State, to: State): void {
    const { json } = this.#compiler;
    const rule = this.#compiler.rule(schema, `${this.#at}.additionalProperties`, this.#depth + 1);
    json.entries(from, to, (entry, done) => {
      const key = json.network.state();
      this.#name(entry, key);
      json.network.call(json.after(key, ':'), rule, done);
    });
  }

  #name(from: State, to: State): void {
    const { propertyNames } = this.#schema;
    const { json } = this.#compiler;
    if (propertyNames === undefined || propertyNames === true) return json.string(from, to);
    const at = `${this.#at}.propertyNames`;
    const found = this.#compiler.refs.followed(propertyNames, at);
    const values = found?.enum ?? [];
    const strings = found !== null && (kindsOf(found, at) ?? ['string']).join() === 'string';
    if (!strings || values.some((value) => typeof value !== 'string'))
      throw new ServeError('invalid_value', `${at} must be a schema of strings`, at);
    this.#compiler.value({ type: 'string', ...found }, from, to, at, this.#depth + 1);
  }
}
