/** From the states of an encoder to its score: pooled, through the head's layers, one label read. */

import { activate, norm } from '../block.ts';
import type { Value } from '../../runtime/onnx/graph.ts';
import { linear, storeMatrix, storeVector } from '../weights.ts';
import type { EncoderBuild } from './graph.ts';

/**
 * States [batch, sequence, hidden] to [batch]. The pooled state goes through the dense layer twice: a row alone
 * would be multiplied by other kernels than rows in a batch.
 */
export function classify(build: EncoderBuild, states: Value, mask: Value): Value {
  const { g, take, spec } = build;
  const { pooling, dense, activation, norm: name, name: out, labels } = spec.head;
  const pooled = pooling === 'mean' ? mean(build, states, mask) : first(build, states);
  const activated = activate(g, activation, linear(build, pooled, dense));
  const normed = name === null ? activated : norm(build, activated, name);
  const one = g.node('Slice', [normed, g.ints(0), g.ints(1), g.ints(1)]);
  // A sum of products, not a MatMul: its order of additions does not depend on the batch.
  const weight = storeMatrix(g, `${out}.weight`, take(`${out}.weight`, labels.length, spec.hidden));
  const sums = g.node('ReduceSum', [g.node('Mul', [one, weight]), g.ints(-1)], { keepdims: 0 });
  const bias = storeVector(g, `${out}.bias`, take(`${out}.bias`, labels.length));
  return said(build, g.node('Add', [sums, bias]));
}

/** The first token's state, twice: [batch, 2, hidden] */
const first = ({ g }: EncoderBuild, states: Value): Value =>
  g.node('Gather', [states, g.ints(0, 0)], { axis: 1 });

/** The mean of all tokens' states, twice. A product, because padding adds nothing to its sums, in whatever order. */
function mean({ g }: EncoderBuild, states: Value, mask: Value): Value {
  const row = g.node('Unsqueeze', [mask, g.ints(1)]);
  const sum = g.node('MatMul', [g.node('Concat', [row, row], { axis: 1 }), states]);
  return g.node('Div', [sum, g.node('ReduceSum', [row, g.ints(-1)], { keepdims: 1 })]);
}

/** Logits [batch, labels] to the score. */
function said({ g, spec }: EncoderBuild, logits: Value): Value {
  const { labels, label, says } = spec.head;
  const logit = g.node('Gather', [logits, g.scalar(label, 'int64')], { axis: 1 });
  if (says === 'number') return logit;
  if (says === 'probability') return g.node('Sigmoid', [logit]);
  const others = [...labels.keys()].filter((i) => i !== label);
  const rest = g.node('Gather', [logits, g.ints(...others)], { axis: 1 });
  const against = g.node('ReduceLogSumExp', [rest, g.ints(1)], { keepdims: 0 });
  return g.node('Sub', [logit, against]);
}
