/**
 * A described decoder as an ONNX graph: fused operators, GroupQueryAttention with its KV cache as inputs and
 * outputs, the vocabulary projection only where it is read out. ENGINE.md has the reasons.
 */

import { graph, type GraphBuilder, type Value } from '../runtime/onnx/graph.ts';
import { attention, ropeCaches, type Caches } from './attention.ts';
import { addAndNorm, feedForward, norm } from './block.ts';
import { evidence } from './evidence.ts';
import { portsOf, positionsOf, placesOf, readOut, type Layout, type Ports } from './ports.ts';
import type { TensorSource } from './safetensors.ts';
import type { Layer, Spec } from './spec.ts';
import { takingFrom } from './taken.ts';
import {
  lookUp,
  project,
  storeTable,
  storeVector,
  type Table,
  type Weights,
  type WeightStore,
} from './weights.ts';

export interface GraphOptions {
  readonly weights: Weights;
  readonly layout: Layout;
  /** An output `hidden_states` float32 [...places, hidden]: the normalised states where logits are read out. */
  readonly hiddenStates?: boolean;
  /** Behind the logits of each place, the states of all layers there: what enters the first, then what leaves each, the last one normalised; [..., (layers + 1) * hidden]. */
  readonly layerStates?: boolean;
  /**
   * An input `steering` float32 [batch_size, hidden], added to the states that leave this many layers; and an output
   * `steering_states` float32 [...places, hidden], these states before it is added: what vectors are made of.
   */
  readonly steering?: number | null;
}

/** What the parts of a graph are built with. */
export interface Build extends WeightStore {
  readonly spec: Spec;
  readonly ports: Ports;
}

/**
 * Builds the graph; weights are read when it is written. Throws an Error naming the tensor that is missing, has
 * another shape, or has no place in the family. Inputs and outputs: see `Layout`; KV tensors are
 * `past_key_values.N.key|value` and `present.N.key|value`, float32 [batch_size, kvHeads, length, headDim].
 */
export function buildDecoder(
  spec: Spec,
  source: TensorSource,
  { weights, layout, hiddenStates = false, layerStates = false, steering = null }: GraphOptions,
): GraphBuilder {
  const { take, checkAllTaken } = takingFrom(source);
  const g = graph('llama');
  const build: Build = {
    g,
    spec,
    weights,
    ports: portsOf(g, layout),
    take,
  };
  const table = storeTable(build, spec.embedding.tensor, spec.vocab, spec.hidden);
  const steer = steering === null ? null : steeringInput(g, spec, steering);
  const { entering, states } = blocks(build, embed(build, table), steer);
  const read = readOut(g, states, spec.hidden, build.ports);
  if (spec.head.kind === 'scalar') {
    const { evidence: how } = spec.head;
    if (how === null) scalarHead(build, read, spec.hidden);
    else scalarHead(build, evidence(build, how, states, table), how.inner);
  } else languageHead(build, read, table, layerStates ? entering : []);
  if (hiddenStates)
    g.output('hidden_states', read, 'float32', [...placesOf(build.ports), spec.hidden]);
  checkAllTaken(spec.family, spec.redundant);
  return g;
}

/** Token ids to [batch, sequence, hidden]. */
function embed(build: Build, table: Table): Value {
  const { g, ports, spec } = build;
  const { scale, positions } = spec.embedding;
  const looked = lookUp(g, table, ports.ids);
  const scaled = scale === 1 ? looked : g.node('Mul', [looked, g.scalar(scale)]);
  if (positions === null) return scaled;
  const learned = storeTable(build, positions.tensor, positions.rows, spec.hidden);
  return g.node('Add', [scaled, lookUp(g, learned, positionsOf(g, ports))]);
}

interface Steering {
  readonly after: number;
  /** [batch, 1, hidden] */
  readonly value: Value;
}

function steeringInput(g: GraphBuilder, { layers, hidden }: Spec, after: number): Steering {
  if (!(Number.isSafeInteger(after) && after >= 1 && after <= layers.length))
    throw new Error(`steering is after layer ${after}; the model has 1 to ${layers.length}`);
  const value = g.input('steering', 'float32', ['batch_size', hidden]);
  return { after, value: g.node('Unsqueeze', [value, g.ints(1)]) };
}

/** Embeddings to normalised states, both [batch, sequence, hidden]; and what enters each layer on the way. */
function blocks(
  build: Build,
  embedded: Value,
  steering: Steering | null,
): { readonly entering: readonly Value[]; readonly states: Value } {
  const caches = ropeCaches(build.g, build.spec);
  const entering: Value[] = [];
  let residual = embedded;
  /** What the last layer gave, not yet added. */
  let given: Value | null = null;
  build.spec.layers.forEach((layer, i) => {
    const [x, sum] = addAndNorm(build, given, residual, layer.attentionNorm);
    entering.push(sum);
    const [added, to] = block(build, layer, i, x, sum, caches);
    [given, residual] = [added, to];
    if (steering?.after !== i + 1) return;
    steeringStates(build, added, to);
    given = build.g.node('Add', [added, steering.value]);
  });
  const [states] = addAndNorm(build, given, residual, build.spec.finalNorm);
  return { entering, states };
}

/** `steering_states`: what a layer gives, added to what it is to be added to, where the run is read out. */
function steeringStates({ g, spec, ports }: Build, given: Value, residual: Value): void {
  const [a, b] = [given, residual].map((part) => readOut(g, part, spec.hidden, ports));
  const states = g.node('Add', [a!, b!]);
  g.output('steering_states', states, 'float32', [...placesOf(ports), spec.hidden]);
}

/** One layer, of states as they are and normalised: what it gives, and what that is to be added to. */
function block(
  build: Build,
  layer: Layer,
  i: number,
  x: Value,
  residual: Value,
  caches: Caches,
): [Value, Value] {
  const { g, spec } = build;
  const attended = outNorm(build, attention(build, layer, i, x, caches), layer.attentionOutNorm);
  if (spec.residual === 'parallel') {
    const [y] = addAndNorm(build, null, residual, layer.ffnNorm);
    return [g.node('Add', [attended, feedForward(build, layer, y)]), residual];
  }
  const [y, sum] = addAndNorm(build, attended, residual, layer.ffnNorm);
  return [outNorm(build, feedForward(build, layer, y), layer.ffnOutNorm), sum];
}

const outNorm = (build: Build, x: Value, name: string | null): Value =>
  name === null ? x : norm(build, x, name);

/** `logits` float32 [...places, vocab], and behind them the states `x` and those that enter the layers, where any are to be told. */
function languageHead(build: Build, x: Value, embedding: Table, entering: readonly Value[]): void {
  const { g, spec, ports } = build;
  if (spec.head.kind !== 'language') return;
  const { tensor, softcap } = spec.head;
  const table =
    tensor === spec.embedding.tensor
      ? embedding
      : storeTable(build, tensor, spec.vocab, spec.hidden);
  const logits = project(g, table, x);
  const capped = softcap === 0 ? logits : softCapped(g, logits, softcap);
  if (entering.length === 0)
    return void g.output('logits', capped, 'float32', [...placesOf(ports), spec.vocab]);
  const told = [...entering.map((state) => readOut(g, state, spec.hidden, ports)), x];
  const row = g.node('Concat', [capped, ...told], { axis: -1 });
  const width = spec.vocab + told.length * spec.hidden;
  g.output('logits', row, 'float32', [...placesOf(ports), width]);
}

function softCapped(g: GraphBuilder, x: Value, most: number): Value {
  const cap = g.scalar(most);
  return g.node('Mul', [g.node('Tanh', [g.node('Div', [x, cap])]), cap]);
}

/** `score` float32 [...places]. A sum of products, not a MatMul: its order of additions does not depend on the batch. */
function scalarHead(build: Build, x: Value, width: number): void {
  const { g, spec, take, ports } = build;
  if (spec.head.kind !== 'scalar') return;
  const { name, bias, probability } = spec.head;
  const weight = storeVector(g, `${name}.weight`, take(`${name}.weight`, 1, width));
  const sum = g.node('ReduceSum', [g.node('Mul', [x, weight]), g.ints(-1)], { keepdims: 0 });
  const score = bias
    ? g.node('Add', [sum, storeVector(g, `${name}.bias`, take(`${name}.bias`, 1))])
    : sum;
  const said = probability ? g.node('Sigmoid', [score]) : score;
  g.output('score', said, 'float32', [...placesOf(ports)]);
}
