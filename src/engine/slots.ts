/**
 * Who holds which KV row. Rows in use stay at the front without holes (a step runs over rows 0 to n-1), so a
 * leaving slot is filled by the last one. Admission promises rows; a slot only ever takes a promised one.
 */

import type { KvRows, LanguageModel, Reals, Steering } from '../core/model.ts';
import type { Token } from '../core/tree.ts';

/** One KV row: what a model has read of one branch. */
export interface Slot {
  readonly pool: SlotPool;
  /** What all of its positions are read with. */
  readonly steering: Steering;
  row: number;
  /** Positions held. */
  cached: number;
  /** Logits after the last position held, if they were kept; [width]. */
  head: Reals | null;
}

export class SlotPool {
  readonly model: LanguageModel;
  readonly rows: KvRows;
  readonly #slots: Slot[] = [];
  #promised = 0;
  /** Slots that are steered. */
  #steered = 0;

  constructor(model: LanguageModel, rows: number, length: number) {
    this.model = model;
    this.rows = model.open(rows, length);
  }

  get used(): number {
    return this.#slots.length;
  }

  /** Rows that admission may still promise. */
  get free(): number {
    return this.rows.rows - this.#promised;
  }

  get promised(): number {
    return this.#promised;
  }

  promise(rows: number): void {
    this.#promised += rows;
  }

  take(steering: Steering = null): Slot {
    if (this.#slots.length >= this.#promised)
      throw new Error(`${this.model.name}: a slot was taken that admission did not promise`);
    const slot: Slot = { pool: this, steering, row: this.#slots.length, cached: 0, head: null };
    this.#slots.push(slot);
    if (steering !== null) this.#steered++;
    return slot;
  }

  /** A twin of `slot` that holds the same positions: one row copy, no prefill. */
  fork(slot: Slot): Slot {
    const twin = this.take(slot.steering);
    this.rows.copy(slot.row, twin.row, slot.cached);
    [twin.cached, twin.head] = [slot.cached, slot.head];
    return twin;
  }

  release(slot: Slot): void {
    if (this.#slots[slot.row] !== slot)
      throw new Error(`${this.model.name}: a slot was released twice`);
    const last = this.#slots.pop()!;
    if (slot.steering !== null) this.#steered--;
    if (last !== slot) {
      this.rows.copy(last.row, slot.row, last.cached);
      this.#place(last, slot.row);
    }
    slot.row = -1;
  }

  /** Brings these slots to rows `first`, `first + 1`, ... in any order. */
  gather(slots: readonly Slot[], first: number): void {
    const inside = (slot: Slot): boolean => slot.row >= first && slot.row < first + slots.length;
    const wanted = new Set(slots);
    let at = first;
    for (const slot of slots) {
      if (inside(slot)) continue;
      while (wanted.has(this.#slots[at]!)) at++;
      this.#swap(slot, this.#slots[at]!);
    }
  }

  /** By row; undefined: no slot is steered. */
  get steering(): readonly Steering[] | undefined {
    return this.#steered === 0 ? undefined : this.#slots.map(({ steering }) => steering);
  }

  /** Throws unless rows, slots and promises agree; for tests and idle moments. */
  audit(): void {
    this.#slots.forEach((slot, row) => {
      if (slot.row !== row)
        throw new Error(`${this.model.name}: slot in row ${row} says ${slot.row}`);
    });
    if (this.used > this.#promised || this.#promised > this.rows.rows)
      throw new Error(
        `${this.model.name}: ${this.used} used, ${this.#promised} promised, ${this.rows.rows} rows`,
      );
  }

  #swap(a: Slot, b: Slot): void {
    this.rows.swap(a.row, b.row, a.cached, b.cached);
    const row = a.row;
    this.#place(a, b.row);
    this.#place(b, row);
  }

  #place(slot: Slot, row: number): void {
    slot.row = row;
    this.#slots[row] = slot;
  }
}

/** The lane's whole sequence so far, read from position `from` on. */
export function sequence(
  prompt: readonly Token[],
  tokens: readonly Token[],
  from: number,
  to: number,
): Token[] {
  const all: Token[] = [];
  for (let i = from; i < to; i++)
    all.push(i < prompt.length ? prompt[i]! : tokens[i - prompt.length]!);
  return all;
}
