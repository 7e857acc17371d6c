/**
 * KV in a device's memory. Its buffers have names but no addresses: a run sees them from row 0 on, and what is to be
 * read into other rows is read into rows of a stage and moved. Blocks that are saved lie in this process's memory.
 */

import type { KvBlock } from '../../core/model.ts';
import type { KvGraphs } from './graphs.ts';
import { Block, type KvStore, type KvTensors } from './store.ts';
import type { Bound, DeviceTensor, HostTensor, Ort, Tensor } from '../ort/ort.ts';
import { kvNames, type Shape } from '../shape.ts';

/** Rows of a stage: prompts that are read in one run. */
const BURST = 8;

/** Rows that a store of so many takes memory for. */
export const rowsTaken = (rows: number): number => rows + stageOf(rows);

const stageOf = (rows: number): number => Math.min(BURST, rows - 1);

/** What a store is made with. */
interface DeviceMemory {
  readonly ort: Ort;
  /** New memory of the device. @throws OrtError where there is no room */
  readonly zeros: (dims: readonly number[]) => DeviceTensor;
  /** For stores of the same number of buffers. */
  readonly graphs: KvGraphs;
}

export class DeviceKv implements KvStore {
  readonly rows: number;
  readonly length: number;
  readonly most: number;
  readonly #memory: DeviceMemory;
  readonly #shape: Shape;
  readonly #buffers: readonly DeviceTensor[];
  readonly #stage: readonly DeviceTensor[];
  readonly #owned: Tensor[] = [];
  readonly #fronts: (KvTensors | undefined)[] = [];
  readonly #staged: (KvTensors | undefined)[] = [];
  readonly #within: Moves;
  readonly #in: Moves;
  readonly #out: Moves;

  constructor(memory: DeviceMemory, shape: Shape, rows: number, length: number) {
    [this.#memory, this.#shape, this.rows, this.length] = [memory, shape, rows, length];
    this.most = Math.max(1, stageOf(rows));
    this.#buffers = this.#allocate(rows);
    this.#stage = this.#allocate(stageOf(rows));
    this.#within = new Moves(memory, this.#buffers, this.#buffers);
    this.#in = new Moves(memory, this.#buffers, this.#stage);
    this.#out = new Moves(memory, this.#stage, this.#buffers);
  }

  copy(from: number, to: number): void {
    this.#within.run([from], [to]);
  }

  swap(rowA: number, rowB: number): void {
    this.#within.run([rowA, rowB], [rowB, rowA]);
  }

  save(row: number, length: number): KvBlock {
    const { ort, graphs } = this.#memory;
    const { kvHeads, headDim } = this.#shape;
    const dims = [this.#buffers.length, kvHeads, length, headDim];
    const values = new Float32Array(this.#buffers.length * kvHeads * length * headDim);
    using at = index(ort, [row]);
    using held = index(ort, [length]);
    using block = ort.tensor('float32', dims, values);
    graphs.take.bind({ row: at, held, ...named('from', this.#buffers) }, { block }).run();
    return new Block(length, values);
  }

  load(row: number, saved: KvBlock, length: number): void {
    const { ort, graphs } = this.#memory;
    const { kvHeads, headDim } = this.#shape;
    const { values, length: kept } = saved as Block;
    const dims = [this.#buffers.length, kvHeads, kept, headDim];
    using block = ort.tensor('float32', dims, values);
    using held = index(ort, [length]);
    using cells = ort.tensor('int64', [kvHeads, length, 3], cellsOf(row, kvHeads, length));
    graphs.put
      .bind({ block, held, cells, ...named('to', this.#buffers) }, named('out', this.#buffers))
      .run();
  }

  front(n: number): KvTensors {
    return (this.#fronts[n] ??= this.#views(this.#buffers, n));
  }

  lend(first: number, n: number, held: number, run: (kv: KvTensors) => void): void {
    if (first === 0) return run(this.front(n));
    const [rows, staged] = [range(first, n), range(0, n)];
    if (held > 0) this.#in.run(rows, staged);
    run((this.#staged[n] ??= this.#views(this.#stage, n)));
    this.#out.run(staged, rows);
  }

  [Symbol.dispose](): void {
    for (const moves of [this.#within, this.#in, this.#out]) moves[Symbol.dispose]();
    for (const tensor of this.#owned.toReversed()) tensor[Symbol.dispose]();
  }

  #allocate(rows: number): DeviceTensor[] {
    if (rows === 0) return [];
    return kvNames(this.#shape).map(() => {
      const tensor = this.#memory.zeros(this.#dims(rows));
      this.#owned.push(tensor);
      return tensor;
    });
  }

  #views(buffers: readonly DeviceTensor[], n: number): KvTensors {
    const views = buffers.map((buffer) => buffer.view(this.#dims(n)));
    this.#owned.push(...views);
    return Object.fromEntries(kvNames(this.#shape).map((name, i) => [name, views[i]!]));
  }

  #dims(rows: number): number[] {
    return [rows, this.#shape.kvHeads, this.length, this.#shape.headDim];
  }
}

/** Moves rows from some buffers to others, or the same; what a move of so many rows needs is built once. */
class Moves implements Disposable {
  readonly #memory: DeviceMemory;
  readonly #from: readonly DeviceTensor[];
  readonly #to: readonly DeviceTensor[];
  readonly #built: (Move | undefined)[] = [];

  constructor(memory: DeviceMemory, from: readonly DeviceTensor[], to: readonly DeviceTensor[]) {
    [this.#memory, this.#from, this.#to] = [memory, from, to];
  }

  run(sources: readonly number[], targets: readonly number[]): void {
    const move = (this.#built[sources.length] ??= this.#build(sources.length));
    sources.forEach((row, i) => (move.source[i] = BigInt(row)));
    targets.forEach((row, i) => (move.target[i] = BigInt(row)));
    move.bound.run();
  }

  [Symbol.dispose](): void {
    for (const move of this.#built)
      for (const tensor of move?.owned ?? []) tensor[Symbol.dispose]();
  }

  #build(n: number): Move {
    const { ort, graphs } = this.#memory;
    const [source, target] = [new BigInt64Array(n), new BigInt64Array(n)];
    const owned = [ort.tensor('int64', [n], source), ort.tensor('int64', [n, 1], target)] as const;
    const inputs = {
      source: owned[0],
      target: owned[1],
      ...named('from', this.#from),
      ...named('to', this.#to),
    };
    return { source, target, owned, bound: graphs.move.bind(inputs, named('out', this.#to)) };
  }
}

interface Move {
  readonly source: BigInt64Array;
  readonly target: BigInt64Array;
  readonly owned: readonly HostTensor[];
  readonly bound: Bound;
}

const named = (name: string, tensors: readonly Tensor[]): Record<string, Tensor> =>
  Object.fromEntries(tensors.map((tensor, i) => [`${name}.${i}`, tensor]));

const index = (ort: Ort, values: readonly number[]): HostTensor =>
  ort.tensor('int64', [values.length], BigInt64Array.from(values, BigInt));

const range = (first: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => first + i);

/** Row, head and position of all that a row's first positions are. */
function cellsOf(row: number, heads: number, length: number): BigInt64Array {
  const cells = new BigInt64Array(heads * length * 3);
  let at = 0;
  for (let head = 0; head < heads; head++)
    for (let position = 0; position < length; position++) {
      cells[at++] = BigInt(row);
      cells[at++] = BigInt(head);
      cells[at++] = BigInt(position);
    }
  return cells;
}
