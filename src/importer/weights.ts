/** How weights are stored in a graph and multiplied with: as floats, or in blocks of 32 with 8 or 4 bits. */

import type { GraphBuilder, Value } from '../runtime/onnx/graph.ts';
import { toHalves } from './dtype.ts';
import { padded, pieces, rowsOf, stacked, turned, type Matrix } from './matrix.ts';
import { BLOCK, quantize, type Bits } from './quantize.ts';
import type { Linear, Part } from './spec.ts';

/**
 * float32, float16: MatMul; halves are made floats when the model is loaded. int8, int4: MatMulNBits.
 * Norms, biases and scalar heads are float32 in all of them; embeddings and projections of int4 have 8 bits.
 */
export type Weights = 'float32' | 'float16' | 'int8' | 'int4';

/** A graph under construction and the checkpoint that fills it. */
export interface WeightStore {
  readonly g: GraphBuilder;
  readonly weights: Weights;
  /** A tensor of the checkpoint; one dim is a column. Throws if there is none of this name and shape. */
  readonly take: (name: string, ...shape: readonly number[]) => Matrix;
}

const INFINITE_HALF = 0x7c00;
const SIGN_OF_HALF = 0x8000;
const FLOAT32 = 1; // TensorProto.DataType, for Cast

/** A stored weight [N, K] that is read by row, multiplied with, or both: tied embeddings are stored once. */
export type Table = TableFloat | TableBlocks;

interface TableFloat {
  readonly kind: 'float32' | 'float16';
  /** [N, K] */
  readonly values: Value;
}

interface TableBlocks {
  readonly kind: 'blocks';
  readonly bits: Bits;
  readonly n: number;
  readonly k: number;
  /** uint8 [N, K / 32, 4 * bits] */
  readonly q: Value;
  /** float32 [N * K / 32] */
  readonly scales: Value;
}

const inBlocks = ({ weights }: WeightStore): boolean => weights === 'int8' || weights === 'int4';

type Pad = 'inputs' | 'outputs' | 'nothing';

/**
 * x [..., K] times the transposed weight [N, K], plus the bias: [..., N]. Where blocks need it, the inputs or the
 * outputs are padded with zeros (`pad`): a layer between the two sees zeros too, so the result stays the same.
 */
export const linear = (store: WeightStore, x: Value, layer: Linear, pad: Pad = 'nothing'): Value =>
  storeLinear(store, layer, pad)(x);

/** Stores a linear layer, to be used as often as wanted. */
export function storeLinear(
  store: WeightStore,
  layer: Linear,
  pad: Pad = 'nothing',
): (x: Value) => Value {
  const { g } = store;
  const whole = (size: number): number =>
    inBlocks(store) ? Math.ceil(size / BLOCK) * BLOCK : size;
  const used = layer.parts.reduce((sum, part) => sum + wanted(part), 0);
  const n = pad === 'outputs' ? whole(used) : used;
  const k = pad === 'inputs' ? whole(layer.inputs) : layer.inputs;
  const multiplied = storeProduct(store, layer, n, k);
  if (!layer.bias) return multiplied;
  const parts = layer.parts.map((part) => select(store.take(`${part.name}.bias`, part.rows), part));
  const name = layer.parts.map((part) => label(part, 'bias')).join('+');
  const bias = storeVector(g, name, padded(stacked(parts), n, 1));
  return (x) => g.node('Add', [multiplied(x), bias]);
}

function storeProduct(
  store: WeightStore,
  layer: Linear,
  n: number,
  k: number,
): (x: Value) => Value {
  const { g, weights } = store;
  const name = layer.parts.map((part) => label(part, 'weight')).join('+');
  const weight = padded(stacked(layer.parts.map((part) => weightOf(store, part, layer))), n, k);
  if (inBlocks(store)) {
    const blocks = storeBlocks(store, name, weight, weights === 'int8' ? 8 : 4);
    return (x) => multiply(g, x, blocks);
  }
  const columns = asFloat(g, storeFloats(store, name, turned(weight)), weights);
  return (x) => g.node('MatMul', [x, columns]);
}

const wanted = ({ rows, ranges }: Part): number =>
  ranges === undefined ? rows : ranges.reduce((sum, [, count]) => sum + count, 0);

const label = ({ name, ranges }: Part, what: string): string =>
  `${name}.${what}${ranges === undefined ? '' : `[${ranges[0]?.[0]}, ${ranges[0]?.[1]}]`}`;

function weightOf(store: WeightStore, part: Part, layer: Linear): Matrix {
  const { inputs, turned: isTurned, taps } = layer;
  const name = `${part.name}.weight`;
  if (isTurned === true) return select(turned(store.take(name, inputs, part.rows)), part);
  const dims = taps === undefined ? [inputs] : [inputs / taps, taps];
  return select(store.take(name, part.rows, ...dims), part);
}

const select = (all: Matrix, { ranges }: Part): Matrix =>
  ranges === undefined ? all : stacked(ranges.map(([first, count]) => rowsOf(all, first, count)));

/** Stores the values of a single row or column, each plus `offset`. */
export function storeVector(g: GraphBuilder, name: string, line: Matrix, offset = 0): Value {
  const values = (): Float32Array => line.read(0, line.rows);
  return g.initializer(name, [line.rows * line.columns], {
    type: 'float32',
    pieces: () => [offset === 0 ? values() : values().map((value) => value + offset)],
  });
}

/** Stores a small matrix as float32, whatever the others are. */
export const storeMatrix = (g: GraphBuilder, name: string, matrix: Matrix): Value =>
  g.initializer(name, [matrix.rows, matrix.columns], {
    type: 'float32',
    pieces: () => pieces(matrix),
  });

/** Stores the weight [N, K] as it is, to be looked up and multiplied with. */
export function storeTable(store: WeightStore, name: string, n: number, k: number): Table {
  const weight = store.take(name, n, k);
  if (inBlocks(store)) return storeBlocks(store, name, weight, 8);
  const kind = store.weights === 'float16' ? 'float16' : 'float32';
  return { kind, values: storeFloats(store, name, weight) };
}

/** The rows of a table at `ids`, int64 [batch, sequence]: float32 [batch, sequence, K]. */
export function lookUp(g: GraphBuilder, table: Table, ids: Value): Value {
  if (table.kind !== 'blocks')
    return asFloat(g, g.node('Gather', [table.values, ids], { axis: 0 }), table.kind);
  const { q, scales, n, k, bits } = table;
  // Three dims, so that MatMulNBits reads the same tensor: its blocks are the last one.
  const blocks = g.node(
    'com.microsoft.GatherBlockQuantized',
    [q, ids, g.node('Reshape', [scales, g.ints(n, k / BLOCK, 1)])],
    { bits, block_size: BLOCK, gather_axis: 0, quantize_axis: 2 },
  );
  return g.node('Reshape', [blocks, g.ints(0, 0, k)]);
}

/** x [..., K] times the transposed table: [..., N]. */
export function project(g: GraphBuilder, table: Table, x: Value): Value {
  if (table.kind === 'blocks') return multiply(g, x, table);
  // ORT folds the transposition when the model is loaded; the file holds the table once.
  const columns = g.node('Transpose', [table.values], { perm: [1, 0] });
  return g.node('MatMul', [x, asFloat(g, columns, table.kind)]);
}

const asFloat = (g: GraphBuilder, value: Value, weights: Weights): Value =>
  weights === 'float16' ? g.node('Cast', [value], { to: FLOAT32 }) : value;

function storeFloats({ g, weights }: WeightStore, name: string, weight: Matrix): Value {
  const dims = [weight.rows, weight.columns];
  if (weights !== 'float16')
    return g.initializer(name, dims, { type: 'float32', pieces: () => pieces(weight) });
  return g.initializer(name, dims, { type: 'float16', pieces: () => halves(name, weight) });
}

function* halves(name: string, weight: Matrix): Iterable<Uint16Array> {
  for (const piece of pieces(weight)) {
    const out = toHalves(piece);
    if (out.includes(INFINITE_HALF) || out.includes(INFINITE_HALF | SIGN_OF_HALF))
      throw new Error(`${name} holds a weight beyond 65504, the largest of float16`);
    yield out;
  }
}

function storeBlocks({ g }: WeightStore, name: string, weight: Matrix, bits: Bits): TableBlocks {
  const { rows: n, columns: k } = weight;
  if (k % BLOCK !== 0)
    throw new Error(`${name} has ${k} inputs; ${bits}-bit weights need a multiple of ${BLOCK}`);
  // Scales are made with the levels, and wait until their turn to be written.
  let scales = new Float32Array();
  function* levels(): Iterable<Uint8Array> {
    scales = new Float32Array((n * k) / BLOCK);
    let at = 0;
    for (const piece of pieces(weight)) {
      const made = quantize(piece, bits);
      scales.set(made.scales, at);
      at += made.scales.length;
      yield made.q;
    }
  }
  function* steps(): Iterable<Float32Array> {
    if (scales.length === 0) for (const _ of levels()); // asked for by themselves
    yield scales;
    scales = new Float32Array();
  }
  const dims = [n, k / BLOCK, (BLOCK * bits) / 8];
  return {
    kind: 'blocks',
    bits,
    n,
    k,
    q: g.initializer(`${name}.q`, dims, { type: 'uint8', pieces: levels }),
    scales: g.initializer(`${name}.scales`, [(n * k) / BLOCK], { type: 'float32', pieces: steps }),
  };
}

/**
 * Accuracy level 4 also quantises the activations to 8 bits, by row and block: rows stay independent of each other.
 * With 4-bit weights that holds at this level only (measured: at level 0 a step differs by 1e-6 in a batch), though a
 * GPU agrees with the CPU at level 0 only; the same bytes under any traffic are the promise.
 */
function multiply(g: GraphBuilder, x: Value, { q, scales, n, k, bits }: TableBlocks): Value {
  const attributes = { K: k, N: n, bits, block_size: BLOCK, accuracy_level: 4 };
  return g.node('com.microsoft.MatMulNBits', [x, q, scales], attributes);
}
