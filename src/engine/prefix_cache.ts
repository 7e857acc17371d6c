/**
 * KV of prompts as prefill left them, so that an equal prompt costs a row copy and a longer one only its end.
 * Generated positions never enter: they were stepped, and steps differ from prefill in the last bits.
 */

import { LRUCache } from 'lru-cache';
import { agreement } from '../core/math.ts';
import type { KvBlock, Reals } from '../core/model.ts';
import type { Token } from '../core/tree.ts';

interface Entry {
  readonly space: string;
  readonly tokens: readonly Token[];
  readonly block: KvBlock;
  /** Logits after the last token; [width]. */
  readonly logits: Reals;
}

interface Hit {
  readonly block: KvBlock;
  /** How many positions of the block are of use. */
  readonly length: number;
  /** Set when the whole prompt was found. */
  readonly logits: Reals | null;
}

/** Prefixes are found at multiples of this many tokens. */
const STRIDE = 16;

export class PrefixCache {
  readonly #entries: LRUCache<string, Entry>;
  /** From a prefix's name to the name of an entry that starts with it. */
  readonly #starts = new Map<string, string>();
  queries = 0;
  hits = 0;

  /** @param bytes bound on KV and logits held; 0 keeps nothing */
  constructor(bytes: number) {
    this.#entries = new LRUCache({
      maxSize: Math.max(1, bytes),
      sizeCalculation: ({ block, logits, tokens }) =>
        block.bytes + logits.byteLength + 16 * tokens.length + 256,
      dispose: ({ space, tokens }, name) => {
        for (const start of [name, ...starts(space, tokens)])
          if (this.#starts.get(start) === name) this.#starts.delete(start);
      },
    });
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** Prefixes that can be found. */
  get names(): number {
    return this.#starts.size;
  }

  /**
   * @param space model, salt and steering: what is cached in one is never found in another
   * @param again the same prompt was asked for before: counted once
   */
  find(space: string, tokens: readonly Token[], again = false): Hit | null {
    if (!again) this.queries++;
    const names = starts(space, tokens);
    for (const name of [wholeName(space, tokens), ...names.toReversed()]) {
      const entry = this.#entries.get(this.#starts.get(name) ?? '');
      if (entry === undefined || entry.space !== space) continue;
      const shared = agreement(entry.tokens, tokens);
      const whole = shared === tokens.length && shared === entry.tokens.length;
      // What is left must be at least two tokens: one alone would be a step, and steps differ from prefill.
      const length = whole ? shared : Math.min(shared, tokens.length - 2);
      if (length < STRIDE && !whole) continue; // names are hashes: another prompt had the same
      this.hits++;
      return { block: entry.block, length, logits: whole ? entry.logits : null };
    }
    return null;
  }

  store(space: string, tokens: readonly Token[], block: KvBlock, logits: Reals): void {
    const name = wholeName(space, tokens);
    this.#entries.set(name, { space, tokens, block, logits });
    if (!this.#entries.has(name)) return; // larger than the whole cache
    for (const start of [name, ...starts(space, tokens)]) this.#starts.set(start, name);
  }
}

/** The name (a hash) of a whole prompt in its space. */
export const wholeName = (space: string, tokens: readonly Token[]): string =>
  `${space}|${starts(space, tokens, tokens.length)[0] ?? ''}`;

/** Names (hashes) of the prefixes at multiples of `stride`, shortest first. */
function starts(space: string, tokens: readonly Token[], stride = STRIDE): string[] {
  const names: string[] = [];
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (let i = 0; i < tokens.length; i++) {
    a = Math.imul(a ^ tokens[i]!, 0x01000193);
    b = Math.imul(b ^ (tokens[i]! + i), 0x85ebca6b) ^ (b >>> 15);
    if ((i + 1) % stride === 0) names.push(`${space}<${i + 1}:${a >>> 0}:${b >>> 0}`);
  }
  return names;
}
