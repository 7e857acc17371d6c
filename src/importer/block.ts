/** What stands around the attention in a layer: norms, residual sums and the feed-forward. */

import { float, type Attribute, type Value } from '../runtime/onnx.ts';
import type { Build } from './decoder.ts';
import type { Layer } from './spec.ts';
import { linear, storeVector } from './weights.ts';

/** `given` + `residual`, normalised and as it is. Without a norm both are the sum, without `given` it is `residual`. */
export function addAndNorm(
  build: Build,
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

export function norm(build: Build, x: Value, name: string): Value {
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
function parameters({ g, spec, take }: Build, name: string): Value[] {
  const vector = (what: string, offset = 0): Value =>
    storeVector(g, `${name}.${what}`, take(`${name}.${what}`, spec.hidden), offset);
  const gain = vector('weight', spec.norm.offset);
  return spec.norm.kind === 'rms' ? [gain] : [gain, vector('bias')];
}

/** down(act(gate(x)) * up(x)), or down(act(up(x))) */
export function feedForward(build: Build, layer: Layer, x: Value): Value {
  const { g } = build;
  const gate = layer.gate === null ? null : linear(build, x, layer.gate, 'outputs');
  const up = linear(build, x, layer.up, 'outputs');
  const inner = gate === null ? activate(build, up) : g.node('Mul', [activate(build, gate), up]);
  return linear(build, inner, layer.down, 'inputs');
}

function activate({ g, spec }: Build, x: Value): Value {
  switch (spec.ffn.activation) {
    case 'silu':
      return g.node('Mul', [x, g.node('Sigmoid', [x])]);
    case 'gelu':
      return g.node('com.microsoft.Gelu', [x]);
    case 'gelu_tanh':
      return g.node('com.microsoft.FastGelu', [x]);
  }
}
