/** KV of some rows in one buffer per layer and kind. Rows are copied, exchanged, saved and loaded by position. */

import type { KvBlock } from '../core/model.ts';
import type { Ort, Tensor } from './ort.ts';
import { kvNames, type Shape } from './shape.ts';

/** KV positions copied out of a row: per buffer and head, `length` vectors. */
class Block implements KvBlock {
  readonly length: number;
  readonly values: Float32Array;
  constructor(length: number, values: Float32Array) {
    this.length = length;
    this.values = values;
  }
  get bytes(): number {
    return this.values.byteLength;
  }
}

/** What `KvRows` asks for, but for running a model over the rows. */
export class KvStore {
  readonly shape: Shape;
  readonly rows: number;
  readonly length: number;
  /** key and value of each layer in turn, [rows, kvHeads, length, headDim] each. */
  readonly buffers: readonly Float32Array[];
  readonly headSize: number;
  readonly rowSize: number;
  #spare: Float32Array | null = null;

  constructor(shape: Shape, rows: number, length: number) {
    [this.shape, this.rows, this.length] = [shape, rows, length];
    this.headSize = length * shape.headDim;
    this.rowSize = shape.kvHeads * this.headSize;
    // Pages that no row has touched cost no memory.
    this.buffers = Array.from(
      { length: 2 * shape.layers },
      () => new Float32Array(rows * this.rowSize),
    );
  }

  copy(from: number, to: number, length: number): void {
    this.#eachHead(length, (kv, head, size) => {
      const source = from * this.rowSize + head;
      kv.copyWithin(to * this.rowSize + head, source, source + size);
    });
  }

  swap(rowA: number, rowB: number, a: number, b: number): void {
    this.#spare ??= new Float32Array(this.headSize);
    const spare = this.#spare;
    this.#eachHead(Math.max(a, b), (kv, head, size) => {
      const [atA, atB] = [rowA * this.rowSize + head, rowB * this.rowSize + head];
      spare.set(kv.subarray(atA, atA + size));
      kv.copyWithin(atA, atB, atB + size);
      kv.set(spare.subarray(0, size), atB);
    });
  }

  save(row: number, length: number): KvBlock {
    const { kvHeads, headDim } = this.shape;
    const values = new Float32Array(this.buffers.length * kvHeads * length * headDim);
    let at = 0;
    this.#eachHead(length, (kv, head, size) => {
      const source = row * this.rowSize + head;
      values.set(kv.subarray(source, source + size), at);
      at += size;
    });
    return new Block(length, values);
  }

  load(row: number, block: KvBlock, length: number): void {
    const { values, length: held } = block as Block;
    const stride = held * this.shape.headDim;
    let at = 0;
    this.#eachHead(length, (kv, head, size) => {
      kv.set(values.subarray(at, at + size), row * this.rowSize + head);
      at += stride;
    });
  }

  /** Tensors over the rows `first` to `first + n - 1`, by the names of a graph's KV inputs. */
  tensors(ort: Ort, first: number, n: number): Record<string, Tensor> {
    const { kvHeads, headDim } = this.shape;
    const dims = [n, kvHeads, this.length, headDim];
    return Object.fromEntries(
      kvNames(this.shape).map((name, i) => {
        const kv = this.buffers[i]!;
        const part = kv.subarray(first * this.rowSize, (first + n) * this.rowSize);
        return [name, ort.tensor('float32', dims, part)];
      }),
    );
  }

  /** Visits the first `length` positions of every buffer and head: offset within a row, and size. */
  #eachHead(length: number, visit: (kv: Float32Array, head: number, size: number) => void): void {
    const size = length * this.shape.headDim;
    for (const kv of this.buffers)
      for (let head = 0; head < this.rowSize; head += this.headSize) visit(kv, head, size);
  }
}

/** The tensors of KV inputs under the names of the outputs: what is read is appended in place. */
export const present = (kv: Readonly<Record<string, Tensor>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(kv).map(([name, tensor]) => [presentName(name), tensor]));

export const presentName = (past: string): string => past.replace('past_key_values', 'present');
