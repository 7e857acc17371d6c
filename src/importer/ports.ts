/** The inputs of a graph, by layout: who calls it decides how it is told the lengths of the rows. */

import type { GraphBuilder, Value } from '../runtime/onnx/graph.ts';

/**
 * cached: ours; lengths given directly, `read_index` says which positions are read out: a step and a prefill ask for
 * one of each row, a text that is judged for many. A scalar head is read in the same way, as `score`.
 * genai: onnxruntime-genai's and Optimum's inputs; lengths from `attention_mask`, logits at every position.
 */
export type Layout = 'cached' | 'genai';

export interface Ports {
  readonly ids: Value;
  /** int32 [batch_size]: tokens of a row that are in the cache after this run, less one. */
  readonly seqlens: Value;
  /** int32 scalar: the longest row, this run's tokens included. */
  readonly total: Value;
  /** int64 [reads], places in [batch_size * sequence_length]; null: every position is read out. */
  readonly read: Value | null;
}

const INT32 = 6; // TensorProto.DataType, for Cast

export const portsOf = (g: GraphBuilder, layout: Layout): Ports => PORTS[layout](g);

const PORTS: Readonly<Record<Layout, (g: GraphBuilder) => Ports>> = {
  cached: (g) => ({
    ids: inputIds(g),
    seqlens: g.input('seqlens_k', 'int32', ['batch_size']),
    total: g.input('total_sequence_length', 'int32', []),
    read: g.input('read_index', 'int64', ['reads']),
  }),
  genai(g) {
    const ids = inputIds(g);
    const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
    const lengths = g.node('ReduceSum', [mask, g.ints(1)], { keepdims: 0 });
    return {
      ids,
      seqlens: g.node('Cast', [g.node('Sub', [lengths, g.ints(1)])], { to: INT32 }),
      total: dimOf(g, mask, 1),
      read: null,
    };
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

/** [batch, sequence, width] at the places that are read out: [reads, width]. All of it where every position is. */
export function readOut(g: GraphBuilder, states: Value, width: number, { read }: Ports): Value {
  if (read === null) return states;
  return g.node('Gather', [g.node('Reshape', [states, g.ints(-1, width)]), read], { axis: 0 });
}

/** The dims of what is read out, the width aside. */
export const placesOf = ({ read }: Ports): readonly string[] =>
  read === null ? ['batch_size', 'sequence_length'] : ['reads'];
