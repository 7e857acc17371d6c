/**
 * A described encoder as an ONNX graph: token ids, a mask and text numbers in, one score a text out. Rows are
 * padded on the right; a row's score has the same bits alone and beside longer ones.
 */

import { activate, addAndNorm, feedForward, norm, type BlockBuild } from '../block.ts';
import { graph, type GraphBuilder, type Value } from '../../runtime/onnx/graph.ts';
import type { TensorSource } from '../safetensors.ts';
import { takingFrom } from '../taken.ts';
import { linear, lookUp, storeTable, type Weights } from '../weights.ts';
import { attention, surroundings, type Surroundings } from './attention.ts';
import { classify } from './head.ts';
import type { Convolution, EncoderLayer, EncoderSpec } from './spec.ts';

export interface EncoderBuild extends BlockBuild {
  readonly spec: EncoderSpec;
}

interface Inputs {
  readonly ids: Value;
  readonly mask: Value;
  readonly types: Value;
}

const FLOAT32 = 1; // TensorProto.DataType, for Cast
/** Behind the end of any text: of a slice, all that is left. */
const FAR = 2 ** 31;

/**
 * Builds the graph; weights are read when it is written. Inputs `input_ids`, `attention_mask`, `token_type_ids`:
 * int64 [batch_size, sequence_length], two tokens wide at least; output `score` float32 [batch_size].
 * Throws an Error naming the tensor that is missing, has another shape, or has no place in the family.
 */
export function buildEncoder(
  spec: EncoderSpec,
  source: TensorSource,
  weights: Weights,
): GraphBuilder {
  const g = graph('encoder');
  const { take, checkAllTaken } = takingFrom(source);
  const build: EncoderBuild = { g, spec, weights, take };
  const input = (name: string): Value => g.input(name, 'int64', ['batch_size', 'sequence_length']);
  const inputs = {
    ids: input('input_ids'),
    mask: input('attention_mask'),
    types: input('token_type_ids'),
  };
  const length = g.node('Gather', [g.node('Shape', [inputs.ids]), g.scalar(1, 'int64')]);
  const mask = g.node('Cast', [inputs.mask], { to: FLOAT32 });
  const around = surroundings(build, mask, length);
  const embedded = embed(build, inputs, length);
  const states =
    spec.norms === 'after'
      ? normedAfter(build, around, embedded, mask)
      : normedBefore(build, around, embedded);
  g.output('score', classify(build, states, mask), 'float32', ['batch_size']);
  checkAllTaken(spec.family, spec.redundant);
  return g;
}

/** Token ids to [batch, sequence, hidden]. */
function embed(build: EncoderBuild, { ids, types: typeIds }: Inputs, length: Value): Value {
  const { g, spec } = build;
  const { tensor, width, positions, types, projection, norm: name } = spec.embedding;
  const looked = (from: string, rows: number, at: Value): Value =>
    lookUp(g, storeTable(build, from, rows, width), at);
  let sum = looked(tensor, spec.vocab, ids);
  if (positions !== null) {
    const first = g.scalar(positions.first, 'int64');
    const end = g.node('Add', [length, first]);
    const places = g.node('Range', [first, end, g.scalar(1, 'int64')]);
    const at = g.node('Unsqueeze', [places, g.ints(0)]);
    sum = g.node('Add', [sum, looked(positions.tensor, positions.rows, at)]);
  }
  if (types !== null) {
    // Some tokenizers number two texts where the model knows one.
    const known = g.node('Min', [typeIds, g.scalar(types.rows - 1, 'int64')]);
    sum = g.node('Add', [sum, looked(types.tensor, types.rows, known)]);
  }
  return norm(build, projection === null ? sum : linear(build, sum, projection), name);
}

/** BERT's block: each sum is normalised. */
const normedAfter = (
  build: EncoderBuild,
  around: Surroundings,
  embedded: Value,
  mask: Value,
): Value =>
  build.spec.layers.reduce((x, layer, i) => {
    const attended = attention(build, layer, around, x);
    const [y] = addAndNorm(build, attended, x, layer.attentionNorm);
    const [z] = addAndNorm(build, feedForward(build, layer, y), y, layer.ffnNorm);
    const { convolution } = build.spec;
    if (i > 0 || convolution === null) return z;
    return addAndNorm(build, convolved(build, convolution, embedded, mask), z, convolution.norm)[0];
  }, embedded);

/** A product with each token's neighbours side by side. Padding is zero, as what is beyond a text's ends. */
function convolved(
  build: EncoderBuild,
  { taps, linear: layer, activation }: Convolution,
  embedded: Value,
  mask: Value,
): Value {
  const { g } = build;
  const reach = (taps - 1) / 2;
  const seen = g.node('Mul', [embedded, g.node('Unsqueeze', [mask, g.ints(2)])]);
  const wide = g.node('Pad', [seen, g.ints(0, reach, 0, 0, reach, 0), g.scalar(0)]);
  const neighbours = Array.from({ length: taps }, (_, tap) => {
    const end = tap === taps - 1 ? FAR : tap - 2 * reach;
    const shifted = g.node('Slice', [wide, g.ints(tap), g.ints(end), g.ints(1)]);
    return g.node('Unsqueeze', [shifted, g.ints(3)]);
  });
  const together = g.node('Concat', neighbours, { axis: 3 });
  const x = g.node('Reshape', [together, g.ints(0, 0, layer.inputs)]);
  return activate(g, activation, linear(build, x, layer));
}

/** Llama's block: what is added to is never normalised itself, until the end. */
function normedBefore(build: EncoderBuild, around: Surroundings, embedded: Value): Value {
  let [given, residual]: [Value | null, Value] = [null, embedded];
  const step = (name: string | null, make: (x: Value) => Value): void => {
    const [x, sum] = addAndNorm(build, given, residual, name);
    [given, residual] = [make(x), sum];
  };
  const through = (layer: EncoderLayer): void => {
    step(layer.attentionNorm, (x) => attention(build, layer, around, x));
    step(layer.ffnNorm, (x) => feedForward(build, layer, x));
  };
  build.spec.layers.forEach(through);
  return addAndNorm(build, given, residual, build.spec.finalNorm)[0];
}
