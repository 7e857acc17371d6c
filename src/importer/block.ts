/** What stands around the attention in a layer: norms, residual sums and the feed-forward. */

import { float, type Attribute, type GraphBuilder, type Value } from '../runtime/onnx/graph.ts';
import type { Activation, Layer, Spec } from './spec.ts';
import { linear, storeVector, type WeightStore } from './weights.ts';

/** What a block of a decoder or of an encoder is built with. */
export interface BlockBuild extends WeightStore {
  readonly spec: Pick<Spec, 'hidden' | 'norm' | 'ffn'>;
}

/** `given` + `residual`, normalised and as it is. Without a norm both are the sum, without `given` it is `residual`. */
export function addAndNorm(
  build: BlockBuild,
  given: Value | null,
  residual: Value,
  name: string | null,
): [Value, Value] {
  const { g, spec } = build;
  if (given === null) return [name === null ? residual : norm(build, residual, name), residual];
  if (name === null) {
    const sum = g.node('Add', [given, residual]);
    return [sum, sum];
  }
  const op =
    spec.norm.kind === 'rms' ? 'SkipSimplifiedLayerNormalization' : 'SkipLayerNormalization';
  const [normed, , , sum] = g.nodes(
    `com.microsoft.${op}`,
    [given, residual, ...parameters(build, name)],
    [`${name}.out`, '', '', `${name}.sum`],
    { epsilon: float(spec.norm.epsilon) },
  );
  return [normed, sum];
}

export function norm(build: BlockBuild, x: Value, name: string): Value {
  const { g, spec } = build;
  const op = spec.norm.kind === 'rms' ? 'SimplifiedLayerNormalization' : 'LayerNormalization';
  const attributes: Record<string, Attribute> = {
    axis: -1,
    stash_type: 1,
    epsilon: float(spec.norm.epsilon),
  };
  return g.node(op, [x, ...parameters(build, name)], attributes);
}

/** The gain, and the bias of a layer norm. */
function parameters({ g, spec, take }: BlockBuild, name: string): Value[] {
  const vector = (what: string, offset = 0): Value =>
    storeVector(g, `${name}.${what}`, take(`${name}.${what}`, spec.hidden), offset);
  const gain = vector('weight', spec.norm.offset);
  return spec.norm.kind === 'rms' || spec.norm.bias === false ? [gain] : [gain, vector('bias')];
}

/** down(act(gate(x)) * up(x)), or down(act(up(x))) */
export function feedForward(
  build: BlockBuild,
  layer: Pick<Layer, 'gate' | 'up' | 'down'>,
  x: Value,
): Value {
  const { g } = build;
  const activated = (value: Value): Value => activate(g, build.spec.ffn.activation, value);
  const gate = layer.gate === null ? null : linear(build, x, layer.gate, 'outputs');
  const up = linear(build, x, layer.up, 'outputs');
  const inner = gate === null ? activated(up) : g.node('Mul', [activated(gate), up]);
  return linear(build, inner, layer.down, 'inputs');
}

export function activate(g: GraphBuilder, activation: Activation, x: Value): Value {
  switch (activation) {
    case 'silu':
      return g.node('Mul', [x, g.node('Sigmoid', [x])]);
    case 'gelu':
      return g.node('com.microsoft.Gelu', [x]);
    case 'gelu_tanh':
      return g.node('com.microsoft.FastGelu', [x]);
    case 'relu':
      return g.node('Relu', [x]);
    case 'tanh':
      return g.node('Tanh', [x]);
  }
}
