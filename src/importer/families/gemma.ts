/**
 * Gemma 2 and 3, text: norms around both parts of a layer, gains stored less one, scaled embeddings, windows in most
 * layers. Gemma 2 caps attention scores and logits; Gemma 3 normalises heads, and has a rope of its own for windows.
 */

import type { Fields } from '../fields.ts';
import { rope } from '../rope.ts';
import type { Rope } from '../spec.ts';
import {
  layerTypes,
  llamaLike,
  ropeOf,
  shapeOf,
  windowOf,
  type Differences,
  type Family,
  type Shape,
} from './common.ts';

export const gemma2: Family = (f, wish) => {
  const shape = gemmaShape(f, wish);
  const all = ropeOf(f, shape);
  return llamaLike(f, wish, shape, {
    ...gemma(f, shape),
    family: 'Gemma 2',
    attention: { scale: scaleOf(f), softcap: f.optional('attn_logit_softcapping', 50) },
    softcap: f.optional('final_logit_softcapping', 30),
    ropes: [all],
    layer: slidingLayers(f, shape, 2, all, all),
  });
};

export const gemma3: Family = (f, wish) => {
  f.only('use_bidirectional_attention', false);
  const shape = gemmaShape(f, wish);
  const every = f.has('sliding_window_pattern')
    ? f.count('sliding_window_pattern')
    : f.count('_sliding_window_pattern', 6);
  const [full, local] = gemma3Ropes(f, shape);
  return llamaLike(f, wish, shape, {
    ...gemma(f, shape),
    family: 'Gemma 3',
    attention: {
      scale: scaleOf(f),
      softcap: f.optional('attn_logit_softcapping', 0),
      queryNorm: 'head',
    },
    softcap: f.optional('final_logit_softcapping', 0),
    ropes: [full, local],
    layer: slidingLayers(f, shape, every, full, local),
  });
};

/** Its default is no share of the width, so it must be given. */
function gemmaShape(f: Fields, wish: Parameters<Family>[1]): Shape {
  if (!f.has('head_dim')) f.refuse('head_dim', 'a whole number');
  return shapeOf(f, wish);
}

function gemma(f: Fields, { hidden }: Shape): Omit<Differences, 'family'> {
  f.only('hidden_act', 'gelu_pytorch_tanh');
  f.only('hidden_activation', 'gelu_pytorch_tanh');
  const bias = f.flag('attention_bias', false);
  return {
    activation: 'gelu_tanh',
    norm: { offset: 1 },
    norms: 'around',
    bias: { qkv: bias, out: bias },
    embeddingScale: Math.sqrt(hidden),
    tied: true,
  };
}

const scaleOf = (f: Fields): number => f.positive('query_pre_attn_scalar') ** -0.5;

/** Every n-th layer sees all tokens, the others a window of them. */
function slidingLayers(f: Fields, shape: Shape, n: number, full: Rope, local: Rope) {
  const window = windowOf(f.count('sliding_window'), shape);
  const types = layerTypes(f, shape);
  return (i: number) => {
    const slides = types === null ? (i + 1) % n !== 0 : types[i] === 'sliding_attention';
    return slides ? { window, rope: local } : { window: null, rope: full };
  };
}

/** Newer configs hold both in `rope_parameters`; older ones scale the full one alone. */
function gemma3Ropes(f: Fields, shape: Shape): readonly [Rope, Rope] {
  const parameters = f.object('rope_parameters');
  const context = f.count('max_position_embeddings');
  const one = (name: string, theta: number, scaling: Fields | null): Rope =>
    rope({ name, dim: shape.headDim, theta, scaling, context });
  if (parameters === null)
    return [
      one('rope', f.positive('rope_theta', 1_000_000), f.object('rope_scaling')),
      one('rope.local', f.positive('rope_local_base_freq', 10_000), null),
    ];
  f.ignore('rope_theta', 'rope_local_base_freq');
  const of = (type: string, name: string): Rope => {
    const inner = parameters.object(type) ?? parameters.refuse(type, 'an object');
    return one(name, inner.positive('rope_theta'), inner);
  };
  const ropes = [of('full_attention', 'rope'), of('sliding_attention', 'rope.local')] as const;
  parameters.done();
  return ropes;
}
