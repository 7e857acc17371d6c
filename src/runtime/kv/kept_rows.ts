/**
 * KV of what a model read lately: what a row begins with alike is not read again. A cache and no more: chunks of two
 * tokens or more leave the bits of a whole reading, so what was kept, or given up for others, never shows.
 */

import { agreement } from '../../core/math.ts';
import type { KvRows } from '../../core/model.ts';
import type { Token } from '../../core/tree.ts';

/** One token alone would be a step, and steps differ from prefill in the last bits. */
const LEAST_CHUNK = 2;
/** A row that would lose more of what it holds is kept, and its beginning copied to another. */
const MOST_LOST = 4;

export class KeptRows implements Disposable {
  readonly #rows: KvRows;
  readonly #held: (readonly Token[])[];
  /** Row numbers, the longest unused first. */
  readonly #order: number[];

  /** @param rows at least one; owned from here on */
  constructor(rows: KvRows) {
    this.#rows = rows;
    this.#held = Array.from({ length: rows.rows }, () => []);
    this.#order = [...this.#held.keys()];
  }

  /** Tokens of a text that are to be read. @param text two tokens or more */
  missing(text: readonly Token[]): number {
    return text.length - this.#begun(text).from;
  }

  /** Reads a text of two tokens or more; returns the model's output after the last of them, valid until the next call. */
  read(text: readonly Token[]): Float32Array {
    const { row: source, from } = this.#begun(text);
    const spares = this.#held[source]!.length - from <= MOST_LOST;
    const row = spares ? source : this.#order[0]!;
    if (row !== source && from > 0) this.#rows.copy(source, row, from);
    this.#held[row] = []; // in case the reading fails
    const output = this.#rows.prefill(row, text.slice(from), from);
    this.#held[row] = text;
    this.#order.push(...this.#order.splice(this.#order.indexOf(row), 1));
    return output;
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]();
  }

  /** The row that holds most of a text's beginning, and where the reading would go on. */
  #begun(text: readonly Token[]): { row: number; from: number } {
    let [best, most] = [this.#order[0]!, 0];
    for (const row of this.#order) {
      const shared = agreement(this.#held[row]!, text);
      if (shared > most) [best, most] = [row, shared];
    }
    return { row: best, from: Math.min(most, text.length - LEAST_CHUNK) };
  }
}
