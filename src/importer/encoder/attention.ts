/**
 * Attention in which every token sees every other, of plain operators. The fused ones sum a softmax in another order
 * where rows are padded; here the sum over keys is one more column of the product with the values, which adds
 * nothing for padding, so a text's bits do not depend on what it is read beside.
 */

import { ropeCaches, type Caches } from '../attention.ts';
import { norm } from '../block.ts';
import type { GraphBuilder, Value } from '../../runtime/onnx/graph.ts';
import type { Linear } from '../spec.ts';
import { storeLinear, storeMatrix } from '../weights.ts';
import type { EncoderBuild } from './graph.ts';
import type { EncoderLayer } from './spec.ts';

/** What all layers share. */
export interface Surroundings {
  /** float32, 0 where a key may be seen and -1e9 elsewhere, for a window or for none: broadcast to [batch, heads, queries, keys]. */
  readonly hiding: (window: number | null) => Value;
  readonly caches: Caches;
  readonly distances: Distances | null;
}

interface Distances {
  /** [distances, hidden], normalised. */
  readonly vectors: Value;
  /** int64 [queries, keys]: rows of the vectors. */
  readonly rows: Value;
  /** The same, as [keys, queries]. */
  readonly turned: Value;
}

/** Far below any score, and its exponential is 0. */
const HIDDEN = 1e9;

/** @param mask float32 [batch, sequence], 1 for tokens and 0 for padding */
export function surroundings(build: EncoderBuild, mask: Value, length: Value): Surroundings {
  const { g, spec } = build;
  const padding = g.node('Mul', [g.node('Sub', [mask, g.scalar(1)]), g.scalar(HIDDEN)]);
  const hidden = g.node('Unsqueeze', [padding, g.ints(1, 2)]);
  const places = g.node('Range', [g.scalar(0, 'int64'), length, g.scalar(1, 'int64')]);
  const apart = g.node('Sub', [
    g.node('Unsqueeze', [places, g.ints(1)]),
    g.node('Unsqueeze', [places, g.ints(0)]),
  ]);
  const windows = new Map<number, Value>();
  return {
    hiding(window) {
      if (window === null) return hidden;
      const known = windows.get(window) ?? outside(g, hidden, apart, window);
      windows.set(window, known);
      return known;
    },
    caches: ropeCaches(g, spec),
    distances: distancesOf(build, apart, length),
  };
}

function outside(g: GraphBuilder, hidden: Value, apart: Value, window: number): Value {
  const far = g.node('Greater', [g.node('Abs', [apart]), g.scalar(window, 'int64')]);
  return g.node('Add', [hidden, g.node('Where', [far, g.scalar(-HIDDEN), g.scalar(0)])]);
}

/** Only of distances that occur in texts of this length: short texts need few, and their projections are made in each run. */
function distancesOf(build: EncoderBuild, apart: Value, length: Value): Distances | null {
  const { g, spec, take } = build;
  if (spec.relative === null) return null;
  const { tensor, rows, norm: name, rowOf } = spec.relative;
  const stored = storeMatrix(g, tensor, take(tensor, rows, spec.hidden));
  const most = spec.context - 1;
  const rowsOf = BigInt64Array.from({ length: 2 * most + 1 }, (_, i) => BigInt(rowOf(i - most)));
  const table = g.initializer('distances', [rowsOf.length], rowsOf);
  const rowAt = (distance: Value): Value =>
    g.node('Gather', [table, g.node('Add', [distance, g.scalar(most, 'int64')])]);
  const farthest = g.node('Sub', [length, g.scalar(1, 'int64')]);
  const first = rowAt(g.node('Neg', [farthest]));
  const end = g.node('Add', [rowAt(farthest), g.scalar(1, 'int64')]);
  const bounds = [first, end].map((row) => g.node('Unsqueeze', [row, g.ints(0)]));
  const near = g.node('Slice', [stored, ...bounds, g.ints(0)]);
  const found = g.node('Sub', [rowAt(apart), first]);
  return {
    vectors: name === null ? near : norm(build, near, name),
    rows: found,
    turned: g.node('Transpose', [found], { perm: [1, 0] }),
  };
}

/** x [batch, sequence, hidden] to the same. */
export function attention(
  build: EncoderBuild,
  layer: EncoderLayer,
  around: Surroundings,
  x: Value,
): Value {
  const { g, spec } = build;
  const project = once((linear) => storeLinear(build, linear));
  const turned = (linear: Linear): Value => {
    const made = project(linear)(x);
    const caches = layer.rope === null ? null : (around.caches.get(layer.rope) ?? []);
    return caches === null
      ? made
      : g.node('com.microsoft.RotaryEmbedding', [made, g.ints(0), ...caches]);
  };
  const q = g.node('Transpose', [byHead(build, turned(layer.query))], { perm: [0, 2, 1, 3] });
  const keys = byHead(build, turned(layer.key));
  const v = g.node('Transpose', [byHead(build, project(layer.value)(x))], { perm: [0, 2, 1, 3] });
  const content = g.node('MatMul', [q, g.node('Transpose', [keys], { perm: [0, 2, 3, 1] })]);
  const terms = positionTerms(build, layer, around.distances, { q, keys, content }, project);
  const sum = terms.reduce((all, term) => g.node('Add', [all, term]), content);
  const scale = g.scalar((spec.headDim * (1 + terms.length)) ** -0.5);
  const scores = g.node('Add', [g.node('Mul', [sum, scale]), around.hiding(layer.window)]);
  const merged = g.node('Transpose', [weighted(g, scores, v, spec.headDim)], {
    perm: [0, 2, 1, 3],
  });
  const joined = g.node('Reshape', [merged, g.ints(0, 0, spec.heads * spec.headDim)]);
  return project(layer.out)(joined);
}

/** softmax(scores) v */
function weighted(g: GraphBuilder, scores: Value, v: Value, headDim: number): Value {
  const most = g.node('ReduceMax', [scores, g.ints(-1)], { keepdims: 1 });
  const weights = g.node('Exp', [g.node('Sub', [scores, most])]);
  const ones = g.node('Pad', [v, g.ints(0, 0, 0, 0, 0, 0, 0, 1), g.scalar(1)]);
  const sums = g.node('MatMul', [weights, ones]);
  const part = (from: number, to: number): Value =>
    g.node('Slice', [sums, g.ints(from), g.ints(to), g.ints(3)]);
  return g.node('Div', [part(0, headDim), part(headDim, headDim + 1)]);
}

/** [batch, sequence, heads * headDim] to [batch, sequence, heads, headDim] */
const byHead = ({ g, spec }: EncoderBuild, x: Value): Value =>
  g.node('Reshape', [x, g.ints(0, 0, spec.heads, spec.headDim)]);

interface Heads {
  /** [batch, heads, sequence, headDim] */
  readonly q: Value;
  /** [batch, sequence, heads, headDim] */
  readonly keys: Value;
  /** [batch, heads, queries, keys]: of its shape are the terms. */
  readonly content: Value;
}

/** What queries and keys make of their distance: c2p[q, k] = Q_q . PK[q - k], p2c[q, k] = K_k . PQ[q - k]. */
function positionTerms(
  build: EncoderBuild,
  { positionKey, positionQuery }: EncoderLayer,
  distances: Distances | null,
  { q, keys, content }: Heads,
  project: (linear: Linear) => (x: Value) => Value,
): Value[] {
  if (distances === null) return [];
  const { g } = build;
  const shape = g.node('Shape', [content]);
  /** Of each vector at every distance, those at the distances of the others. */
  const pick = (vectors: Value, linear: Linear, rows: Value): Value => {
    const made = g.node('Unsqueeze', [project(linear)(distances.vectors), g.ints(0)]);
    const positions = g.node('Transpose', [byHead(build, made)], { perm: [0, 2, 3, 1] });
    return g.node(
      'GatherElements',
      [g.node('MatMul', [vectors, positions]), g.node('Expand', [rows, shape])],
      { axis: 3 },
    );
  };
  const terms: Value[] = [];
  if (positionKey !== null) terms.push(pick(q, positionKey, distances.rows));
  if (positionQuery !== null) {
    const k = g.node('Transpose', [keys], { perm: [0, 2, 1, 3] });
    const byKey = pick(k, positionQuery, distances.turned);
    terms.push(g.node('Transpose', [byKey], { perm: [0, 1, 3, 2] }));
  }
  return terms;
}

/** A layer that is used twice is stored once. */
function once<T>(make: (linear: Linear) => T): (linear: Linear) => T {
  const made = new Map<Linear, T>();
  return (linear) => {
    const known = made.get(linear) ?? make(linear);
    made.set(linear, known);
    return known;
  };
}
