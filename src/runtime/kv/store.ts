/** KV of some rows, wherever it lies: copied, exchanged, saved and loaded by row, and lent to the runs of a model. */

import type { KvBlock } from '../../core/model.ts';
import type { Tensor } from '../ort/ort.ts';
import type { KvArray } from '../shape.ts';

/** Tensors by the names of a graph's KV inputs. */
export type KvTensors = Readonly<Record<string, Tensor>>;

export interface KvStore extends Disposable {
  readonly rows: number;
  /** Positions of a row. */
  readonly length: number;
  /** Most rows that can be lent at once from anywhere; from row 0 on, all can. */
  readonly most: number;
  copy(from: number, to: number, length: number): void;
  swap(rowA: number, rowB: number, a: number, b: number): void;
  save(row: number, length: number): KvBlock;
  load(row: number, block: KvBlock, length: number): void;
  /** The first `n` rows, for as long as the store lives. */
  front(n: number): KvTensors;
  /**
   * Lends `n` rows from `first` on to a run, which appends in place.
   * @param held positions that one of the rows holds at most; the run may read these
   */
  lend(first: number, n: number, held: number, run: (kv: KvTensors) => void): void;
}

/** KV positions copied out of a row into this process's memory: [buffers, kvHeads, length, headDim]. */
export class Block implements KvBlock {
  readonly length: number;
  readonly values: KvArray;
  constructor(length: number, values: KvArray) {
    this.length = length;
    this.values = values;
  }
  get bytes(): number {
    return this.values.byteLength;
  }
}

/** Rows whose KV is in a store: what `KvRows` asks for, but for running a model over them. */
export class StoredRows {
  readonly kv: KvStore;
  constructor(kv: KvStore) {
    this.kv = kv;
  }
  get rows(): number {
    return this.kv.rows;
  }
  get length(): number {
    return this.kv.length;
  }
  copy(from: number, to: number, length: number): void {
    this.kv.copy(from, to, length);
  }
  swap(rowA: number, rowB: number, a: number, b: number): void {
    this.kv.swap(rowA, rowB, a, b);
  }
  save(row: number, length: number): KvBlock {
    return this.kv.save(row, length);
  }
  load(row: number, block: KvBlock, length: number): void {
    this.kv.load(row, block, length);
  }
}

/** The tensors of KV inputs under the names of the outputs: what is read is appended in place. */
export const present = (kv: KvTensors): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(kv).map(([name, tensor]) => [presentName(name), tensor]));

export const presentName = (past: string): string => past.replace('past_key_values', 'present');
