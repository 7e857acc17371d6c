/** KV in this process's memory: one buffer for each layer and kind, of which pages that no row has touched cost nothing. */

import type { KvBlock } from '../../core/model.ts';
import { Block, type KvStore, type KvTensors } from './store.ts';
import type { Ort, Tensor } from '../ort/ort.ts';
import { kvArray, kvElement, kvNames, type KvArray, type Shape } from '../shape.ts';

export class HostKv implements KvStore {
  readonly rows: number;
  readonly length: number;
  readonly most: number;
  /** key and value of each layer in turn, [rows, kvHeads, length, headDim] each. */
  readonly buffers: readonly KvArray[];
  readonly headSize: number;
  readonly rowSize: number;
  readonly #ort: Ort;
  readonly #shape: Shape;
  readonly #fronts: (KvTensors | undefined)[] = [];
  readonly #single: (KvTensors | undefined)[] = [];
  readonly #owned: Tensor[] = [];
  #spare: KvArray | null = null;

  constructor(ort: Ort, shape: Shape, rows: number, length: number) {
    [this.#ort, this.#shape, this.rows, this.length] = [ort, shape, rows, length];
    this.most = rows;
    this.headSize = length * shape.headDim;
    this.rowSize = shape.kvHeads * this.headSize;
    this.buffers = Array.from({ length: 2 * shape.layers }, () =>
      kvArray(shape, rows * this.rowSize),
    );
  }

  copy(from: number, to: number, length: number): void {
    this.#eachHead(length, (kv, head, size) => {
      const source = from * this.rowSize + head;
      kv.copyWithin(to * this.rowSize + head, source, source + size);
    });
  }

  swap(rowA: number, rowB: number, a: number, b: number): void {
    this.#spare ??= kvArray(this.#shape, this.headSize);
    const spare = this.#spare;
    this.#eachHead(Math.max(a, b), (kv, head, size) => {
      const [atA, atB] = [rowA * this.rowSize + head, rowB * this.rowSize + head];
      spare.set(kv.subarray(atA, atA + size));
      kv.copyWithin(atA, atB, atB + size);
      kv.set(spare.subarray(0, size), atB);
    });
  }

  save(row: number, length: number): KvBlock {
    const { kvHeads, headDim } = this.#shape;
    const values = kvArray(this.#shape, this.buffers.length * kvHeads * length * headDim);
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
    const stride = held * this.#shape.headDim;
    let at = 0;
    this.#eachHead(length, (kv, head, size) => {
      kv.set(values.subarray(at, at + size), row * this.rowSize + head);
      at += stride;
    });
  }

  front(n: number): KvTensors {
    return (this.#fronts[n] ??= this.#own(0, n));
  }

  lend(first: number, n: number, _held: number, run: (kv: KvTensors) => void): void {
    if (n === 1) return run((this.#single[first] ??= this.#own(first, 1)));
    const kv = this.#tensors(first, n);
    try {
      run(kv);
    } finally {
      for (const tensor of Object.values(kv)) tensor[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
  }

  #own(first: number, n: number): KvTensors {
    const kv = this.#tensors(first, n);
    this.#owned.push(...Object.values(kv));
    return kv;
  }

  #tensors(first: number, n: number): KvTensors {
    const { kvHeads, headDim } = this.#shape;
    const dims = [n, kvHeads, this.length, headDim];
    return Object.fromEntries(
      kvNames(this.#shape).map((name, i) => {
        const kv = this.buffers[i]!;
        const part = kv.subarray(first * this.rowSize, (first + n) * this.rowSize);
        return [name, this.#ort.tensor(kvElement(this.#shape), dims, part)];
      }),
    );
  }

  /** Visits the first `length` positions of every buffer and head: offset within a row, and size. */
  #eachHead(length: number, visit: (kv: KvArray, head: number, size: number) => void): void {
    const size = length * this.#shape.headDim;
    for (const kv of this.buffers)
      for (let head = 0; head < this.rowSize; head += this.headSize) visit(kv, head, size);
  }
}
