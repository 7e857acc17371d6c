/**
 * What a request asks an answer to look like, to a network over one vocabulary. Compiling is bounded by counts
 * (bytes, schemas, states, and steps in all), not by a clock: the same schema is always served or always refused.
 */

import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { ServeError } from '../core/errors.ts';
import { show } from '../core/fields.ts';
import type { Vocabulary } from '../core/model.ts';
import { FAR, type RuleNetwork } from '../core/rule.ts';
import { regexDfa } from './dfa.ts';
import { measure } from './distance.ts';
import { Json } from './json.ts';
import { Network, networkBytes, type State } from './network.ts';
import { BadRegex } from './regex.ts';
import { SchemaCompiler, type SchemaLimits, type Writing } from './schema.ts';
import { writeTools, type ToolsAsk } from './tools.ts';
import { trieOf } from './trie.ts';
import { TooLarge, Work } from './work.ts';

/** What is to be spelled. */
export type RuleAsk =
  /** Any JSON object. */
  | { readonly kind: 'object' }
  | { readonly kind: 'schema'; readonly schema: unknown }
  | { readonly kind: 'regex'; readonly regex: string }
  | { readonly kind: 'choice'; readonly choice: readonly string[] }
  /** Calls of these functions, or what is asked for otherwise. */
  | ToolsAsk;

/** A rule, and the path of the field that asks for it. */
export interface PlacedRule {
  readonly ask: RuleAsk;
  readonly at: string;
}

export interface RuleLimits extends SchemaLimits {
  /** Of a schema as JSON. */
  readonly bytes: number;
  /** Of one network. */
  readonly states: number;
  /** Of compiled networks that are kept. */
  readonly cacheBytes: number;
}

export class RuleCompiler {
  readonly #space: string;
  readonly #vocabulary: Vocabulary;
  readonly #limits: RuleLimits;
  readonly #cache: LRUCache<string, RuleNetwork>;

  /** @param space names the vocabulary: rules of two spaces are never taken for each other */
  constructor(space: string, vocabulary: Vocabulary, limits: RuleLimits) {
    [this.#space, this.#vocabulary, this.#limits] = [space, vocabulary, limits];
    trieOf(vocabulary); // made now rather than with the first request that asks for a rule
    const maxSize = Math.max(1, limits.cacheBytes);
    this.#cache = new LRUCache({ maxSize, sizeCalculation: networkBytes });
  }

  /** Held by the networks that are kept. */
  get bytes(): number {
    return this.#cache.calculatedSize;
  }

  /**
   * @param at path of the field that asks
   * @throws ServeError with the path of the part at fault
   */
  compile(ask: RuleAsk, at: string): RuleNetwork {
    const text = spelled(ask, at, this.#limits);
    const key = createHash('sha256').update(this.#space).update('\0').update(text).digest('base64');
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const compiled = this.#compiled(ask, at, key);
    if (compiled.distances[compiled.start] === FAR)
      throw new ServeError(
        'invalid_value',
        `${at} accepts nothing that can be written with the tokens of ${this.#space}`,
        at,
      );
    this.#cache.set(key, compiled);
    return compiled;
  }

  #compiled(ask: RuleAsk, at: string, key: string): RuleNetwork {
    try {
      const work = new Work();
      const network = new Network(this.#limits.states, work);
      const [start, end] = [network.state(), network.state()];
      network.final(end);
      this.#write(ask, at, { json: new Json(network), work }, start, end);
      const frozen = network.freeze(key, start);
      measure(frozen, trieOf(this.#vocabulary), work);
      return frozen;
    } catch (error) {
      if (!(error instanceof TooLarge) && !(error instanceof BadRegex)) throw error;
      const given = ask.kind === 'regex' ? ` is ${show(ask.regex)}; it` : '';
      throw new ServeError('invalid_value', `${at}${given} ${error.message}`, at);
    }
  }

  #schema(schema: unknown, at: string, rule: Writing, from: State, to: State): void {
    new SchemaCompiler(rule, { schema, at }, this.#limits).value(schema, from, to, at);
  }

  #write(ask: RuleAsk, at: string, rule: Writing, start: State, end: State): void {
    const { json, work } = rule;
    switch (ask.kind) {
      case 'object':
        return json.anyObject(start, end);
      case 'schema':
        return this.#schema(ask.schema, at, rule, start, end);
      case 'regex':
        return json.text(regexDfa(ask.regex, false, work), 'raw', start, end);
      case 'choice':
        return json.network.choice(start, ask.choice, end);
      case 'tools':
        return writeTools(ask, json, start, end, {
          schema: (schema, path, from, to) => this.#schema(schema, path, rule, from, to),
          rule: (other, from, to) => this.#write(other.ask, other.at, rule, from, to),
        });
      default:
        return ask satisfies never;
    }
  }
}

/** Deeper values would overflow what reads them. */
const DEEPEST_VALUE = 128;

function spelled(ask: RuleAsk, at: string, { bytes }: RuleLimits): string {
  if (depthOf(ask, 0) > DEEPEST_VALUE)
    throw new ServeError('invalid_value', `${at} nests deeper than ${DEEPEST_VALUE}`, at);
  const text = JSON.stringify(ask);
  if (text.length <= bytes) return text;
  throw new ServeError('invalid_value', `${at} is longer than ${bytes} bytes as JSON`, at);
}

function depthOf(value: unknown, depth: number): number {
  if (depth > DEEPEST_VALUE || typeof value !== 'object' || value === null) return depth;
  let deepest = depth;
  for (const each of Object.values(value)) deepest = Math.max(deepest, depthOf(each, depth + 1));
  return deepest;
}
