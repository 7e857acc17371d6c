/**
 * What a verifier's head reads: the policy's state after each token of the answer, and how much the token surprised the
 * policy. All of it is in one graph, so that a verifier is one model that reads tokens.
 */

import type { GraphBuilder, Value } from '../runtime/onnx/graph.ts';
import type { Build } from './decoder.ts';
import { readOut } from './ports.ts';
import type { Evidence } from './spec.ts';
import { linear, project, storeVector, type Table } from './weights.ts';

const FLOAT32 = 1; // TensorProto.DataType, for Cast
const LEAST_LOG_PROB = -8;
/** Floats of the widest vector that kernels take at once. */
const LANES = 16;
/** Keeps sums over an answer as large as what is summed. */
const SUM_SCALE = 0.125;

/**
 * Per token of the answer x = silu(W state + V surprise), then silu(M [x; sum of all x so far / 8]) where it is read out.
 * @param states [batch, sequence, hidden]
 * @param table the vocabulary projection
 * @returns [reads, inner]
 */
export function evidence(
  build: Build,
  { name, width, inner, opens }: Evidence,
  states: Value,
  table: Table,
): Value {
  const { g, spec, ports, take } = build;
  const layer = (part: string, rows: number, inputs: number) => ({
    parts: [{ name: `${name}.${part}`, rows }],
    inputs,
    bias: true,
  });
  const counted = answered(g, ports.ids, opens);
  const kinds = surprise(g, project(g, table, states), ports.ids, counted, spec.vocab);
  // One product and sum after the other: their order does not depend on the batch.
  const weights = take(`${name}.surprise.weight`, width, kinds.length);
  const columns = storeVector(g, `${name}.surprise.weight`, weights);
  const shaped = g.node('Reshape', [columns, g.ints(width, kinds.length)]);
  const read = kinds.reduce(
    (sum, kind, i) =>
      g.node('Add', [
        sum,
        g.node('Mul', [kind, g.node('Gather', [shaped, g.scalar(i, 'int64')], { axis: 1 })]),
      ]),
    linear(build, states, layer('state', width, spec.hidden)),
  );
  const x = g.node('Mul', [silu(g, read), counted]);
  const sum = g.node('Mul', [running(g, x), g.scalar(SUM_SCALE)]);
  const both = g.node('Concat', [x, sum], { axis: 2 });
  return silu(g, linear(build, readOut(g, both, 2 * width, ports), layer('mix', inner, 2 * width)));
}

/** 1 from the first `opens` token on, 0 before it: float32 [batch, sequence, 1]. */
function answered(g: GraphBuilder, ids: Value, opens: number): Value {
  const begins = g.node('Equal', [ids, g.scalar(opens, 'int64')]);
  const count = running(g, g.node('Cast', [begins], { to: FLOAT32 }));
  return g.node('Unsqueeze', [g.node('Min', [count, g.scalar(1)]), g.ints(2)]);
}

/**
 * Log-prob of each token, entropy of the law that it was drawn from, how far it lies below that law's likeliest, and
 * the log-prob of the answer so far: float32 [batch, sequence, 1] each, 0 outside the answer.
 */
function surprise(
  g: GraphBuilder,
  logits: Value,
  ids: Value,
  counted: Value,
  vocab: number,
): Value[] {
  const law = lawOfEach(g, g.node('LogSoftmax', [logits], { axis: -1 }));
  const p = g.node('Exp', [law]);
  const logp = g.node('GatherElements', [law, g.node('Unsqueeze', [ids, g.ints(2)])], { axis: 2 });
  const gained = g.node('Mul', [g.node('Max', [logp, g.scalar(LEAST_LOG_PROB)]), counted]);
  // Sums depend on where a row begins within a vector: with 309 values to a row 1 to 6 of 180 scores differed by 1e-7 between
  // batches, with whole vectors none did.
  const terms = g.node('Pad', [
    g.node('Mul', [p, law]),
    g.ints(0, 0, 0, 0, 0, (LANES - (vocab % LANES)) % LANES),
  ]);
  const entropy = g.node('Neg', [g.node('ReduceSum', [terms, g.ints(2)], { keepdims: 1 })]);
  const best = g.node('ReduceMax', [law, g.ints(2)], { keepdims: 1 });
  return [
    gained,
    g.node('Mul', [entropy, counted]),
    g.node('Mul', [g.node('Sub', [best, gained]), counted]),
    running(g, gained),
  ];
}

/** A token comes of the law after the token before it. The first has none and is given its own. */
function lawOfEach(g: GraphBuilder, laws: Value): Value {
  const slice = (from: number, to: number): Value =>
    g.node('Slice', [laws, g.ints(from), g.ints(to), g.ints(1)]);
  return g.node('Concat', [slice(0, 1), slice(0, -1)], { axis: 1 });
}

/** Sums along the sequence. */
const running = (g: GraphBuilder, x: Value): Value => g.node('CumSum', [x, g.scalar(1, 'int64')]);

const silu = (g: GraphBuilder, x: Value): Value => g.node('Mul', [x, g.node('Sigmoid', [x])]);
