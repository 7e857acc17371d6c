/** The inputs of a graph, by layout: who calls it decides how it is told the lengths of the rows. */

import type { GraphBuilder, Value } from '../runtime/onnx.ts';

/**
 * cached: ours; lengths given directly, `last_index` says where each row is read out.
 * genai: onnxruntime-genai's and Optimum's inputs; lengths from `attention_mask`, every position is read out.
 * whole: sequences from their start, without a cache: `input_ids`, and `last_index`.
 */
export type Layout = 'cached' | 'genai' | 'whole';

export interface Ports {
  readonly ids: Value;
  /** int32 [batch_size]: tokens of a row that are in the cache after this run, less one. */
  readonly seqlens: Value;
  /** int32 scalar: the longest row, this run's tokens included. */
  readonly total: Value;
  /** int64 [batch_size], or null: every position is read out. */
  readonly last: Value | null;
  /** The graph reads and returns KV. */
  readonly cached: boolean;
}

const INT32 = 6; // TensorProto.DataType, for Cast

export const portsOf = (g: GraphBuilder, layout: Layout): Ports => PORTS[layout](g);

const PORTS: Readonly<Record<Layout, (g: GraphBuilder) => Ports>> = {
  cached: (g) => ({
    ids: inputIds(g),
    seqlens: g.input('seqlens_k', 'int32', ['batch_size']),
    total: g.input('total_sequence_length', 'int32', []),
    last: g.input('last_index', 'int64', ['batch_size']),
    cached: true,
  }),
  genai(g) {
    const ids = inputIds(g);
    const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
    const lengths = g.node('ReduceSum', [mask, g.ints(1)], { keepdims: 0 });
    return {
      ids,
      seqlens: g.node('Cast', [g.node('Sub', [lengths, g.ints(1)])], { to: INT32 }),
      total: dimOf(g, mask, 1),
      last: null,
      cached: true,
    };
  },
  whole(g) {
    const ids = inputIds(g);
    const last = g.input('last_index', 'int64', ['batch_size']);
    const seqlens = g.node('Cast', [last], { to: INT32 });
    return { ids, seqlens, total: dimOf(g, ids, 1), last, cached: false };
  },
};

const inputIds = (g: GraphBuilder): Value =>
  g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);

/** One dim of a tensor, as an int32 scalar. */
function dimOf(g: GraphBuilder, value: Value, axis: number): Value {
  const size = g.node('Gather', [g.node('Shape', [value]), g.scalar(axis, 'int64')], { axis: 0 });
  return g.node('Cast', [size], { to: INT32 });
}

/**
 * The position of every token of a run, int32 [batch_size, sequence_length]. As the attention operator has it: a
 * run as long as its longest row starts at zero, any other continues rows that hold seqlens + 1 - sequence_length.
 */
export function positionsOf(g: GraphBuilder, { ids, seqlens, total }: Ports): Value {
  const length = dimOf(g, ids, 1);
  const [zero, one] = [g.scalar(0, 'int32'), g.scalar(1, 'int32')];
  const held = g.node('Sub', [g.node('Add', [seqlens, one]), length]);
  const start = g.node('Where', [g.node('Equal', [total, length]), zero, held]);
  const steps = g.node('Range', [zero, length, one]);
  return g.node('Add', [g.node('Unsqueeze', [start, g.ints(1)]), steps]);
}

/** Values [batch, sequence, width] at `last` [batch]: [batch, width]. All of them where every position is read out. */
export function readOut(g: GraphBuilder, values: Value, { last }: Ports): Value {
  if (last === null) return values;
  return g.node('GatherND', [values, g.node('Unsqueeze', [last, g.ints(1)])], { batch_dims: 1 });
}

/** The dims between batch and width of what is read out. */
export const readDims = ({ last }: Ports): readonly string[] =>
  last === null ? ['sequence_length'] : [];
