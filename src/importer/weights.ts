/** How weights are stored in a graph and multiplied with: plain float32, or 8 bits in blocks of 32. */

import type { GraphBuilder, Value } from '../runtime/onnx.ts';
import { BLOCK, quantize } from './quantize.ts';

/** float32: MatMul. int8: MatMulNBits, 8 bits, blocks of 32; norms and a score head stay float32. */
export type Weights = 'float32' | 'int8';

/** A graph under construction and the checkpoint that fills it. */
export interface WeightStore {
  readonly g: GraphBuilder;
  readonly weights: Weights;
  /** Reads a tensor. Throws if the checkpoint has no tensor of this name and shape. */
  readonly take: (name: string, ...shape: readonly number[]) => Float32Array;
}

/** A stored weight [N, K] that is read by row, multiplied with, or both: tied embeddings are stored once. */
export type Table = TableFloat | Table8;

interface TableFloat {
  readonly kind: 'float32';
  /** float32 [N, K] */
  readonly values: Value;
}

interface Table8 {
  readonly kind: 'int8';
  readonly n: number;
  readonly k: number;
  /** uint8 [N, K / 32, 32] */
  readonly q: Value;
  /** float32 [N * K / 32] */
  readonly scales: Value;
}

/**
 * x [..., K] times the transposed weight [N, K]: [..., N]. The weight is that of one or several layers, one below
 * the other: `rows` gives the N of each tensor. Where blocks need it, the inputs or the outputs are padded with
 * zeros (`pad`): a layer between the two sees zeros too, so the result stays the same.
 */
export function linear(
  store: WeightStore,
  x: Value,
  k: number,
  rows: Readonly<Record<string, number>>,
  pad: 'inputs' | 'outputs' | 'nothing' = 'nothing',
): Value {
  const whole = (size: number): number =>
    store.weights === 'int8' ? Math.ceil(size / BLOCK) * BLOCK : size;
  const name = Object.keys(rows).join('+');
  const used = Object.values(rows).reduce((sum, size) => sum + size, 0);
  const n = pad === 'outputs' ? whole(used) : used;
  const width = pad === 'inputs' ? whole(k) : k;
  const weight = new Float32Array(n * width);
  let row = 0;
  for (const [tensor, size] of Object.entries(rows)) {
    const values = store.take(tensor, size, k);
    for (let i = 0; i < size; i++)
      weight.set(values.subarray(i * k, (i + 1) * k), (row + i) * width);
    row += size;
  }
  if (store.weights === 'int8') return multiply8(store.g, x, store8(store.g, name, weight, width));
  return store.g.node('MatMul', [
    x,
    store.g.initializer(name, [width, n], transpose(weight, width)),
  ]);
}

/** Stores the weight [N, K] as it is. */
export function storeTable(store: WeightStore, name: string, n: number, k: number): Table {
  const weight = store.take(name, n, k);
  if (store.weights === 'int8') return store8(store.g, name, weight, k);
  return { kind: 'float32', values: store.g.initializer(name, [n, k], weight) };
}

/** The rows of a table at `ids`, int64 [batch, sequence]: float32 [batch, sequence, K]. */
export function lookUp(g: GraphBuilder, table: Table, ids: Value): Value {
  if (table.kind === 'float32') return g.node('Gather', [table.values, ids], { axis: 0 });
  const { q, scales, n, k } = table;
  // Three dims, so that MatMulNBits reads the same tensor: its blocks are the last one.
  const blocks = g.node(
    'com.microsoft.GatherBlockQuantized',
    [q, ids, g.node('Reshape', [scales, g.ints(n, k / BLOCK, 1)])],
    { bits: 8, block_size: BLOCK, gather_axis: 0, quantize_axis: 2 },
  );
  return g.node('Reshape', [blocks, g.ints(0, 0, k)]);
}

/** x [..., K] times the transposed table: [..., N]. */
export function project(g: GraphBuilder, table: Table, x: Value): Value {
  if (table.kind === 'int8') return multiply8(g, x, table);
  // ORT folds the transposition when the model is loaded; the file holds the table once.
  return g.node('MatMul', [x, g.node('Transpose', [table.values], { perm: [1, 0] })]);
}

function store8(g: GraphBuilder, name: string, weight: Float32Array, k: number): Table8 {
  const n = weight.length / k;
  const { q, scales } = quantize(weight, k, name);
  return {
    kind: 'int8',
    n,
    k,
    q: g.initializer(`${name}.q`, [n, k / BLOCK, BLOCK], q),
    scales: g.initializer(`${name}.scales`, [scales.length], scales),
  };
}

/** Accuracy level 4 also quantises the activations to 8 bits, by row and block: rows stay independent of each other. */
function multiply8(g: GraphBuilder, x: Value, { q, scales, n, k }: Table8): Value {
  const attributes = { K: k, N: n, bits: 8, block_size: BLOCK, accuracy_level: 4 };
  return g.node('com.microsoft.MatMulNBits', [x, q, scales], attributes);
}

/** [N, K] to [K, N]. */
function transpose(weight: Float32Array, k: number): Float32Array {
  const n = weight.length / k;
  const out = new Float32Array(weight.length);
  for (let row = 0; row < n; row++)
    for (let column = 0; column < k; column++)
      out[column * n + row] = weight[row * k + column] ?? 0;
  return out;
}
