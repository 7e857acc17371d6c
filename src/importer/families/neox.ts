/**
 * GPT-NeoX and Pythia: attention and feed-forward side by side, layer norms, biases, rotary positions on a part of
 * each head, and one tensor in which the queries, keys and values of a head follow each other.
 */

import type { Layer, Linear, Spec } from '../spec.ts';
import { partialDim, ropeOf, shapeOf, type Family, type Shape } from './common.ts';

const ACTIVATIONS = { gelu: 'gelu', gelu_new: 'gelu_tanh', gelu_fast: 'gelu_tanh' } as const;

export const gptNeox: Family = (f, wish) => {
  const shape = shapeOf(f, wish);
  const activation = f.oneOf(
    'hidden_act',
    Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[],
    'gelu',
  );
  const rope = ropeOf(f, shape, {
    dim: partialDim(f, shape, f.has('rotary_pct') ? 'rotary_pct' : 'partial_rotary_factor'),
    ...(f.has('rotary_emb_base') ? { theta: f.positive('rotary_emb_base') } : {}),
  });
  const bias = f.flag('attention_bias', true);
  const tied = f.flag('tie_word_embeddings', false);
  const embedding = 'gpt_neox.embed_in.weight';
  return {
    ...shape,
    family: 'GPT-NeoX',
    prefix: 'gpt_neox.',
    embedding: { tensor: embedding, scale: 1, positions: null },
    norm: { kind: 'layer', epsilon: f.positive('layer_norm_eps', 1e-5), offset: 0 },
    attention: { scale: shape.headDim ** -0.5, softcap: 0, queryNorm: 'none' },
    ffn: { width: shape.ffn, activation: ACTIVATIONS[activation] },
    residual: f.flag('use_parallel_residual', true) ? 'parallel' : 'sequential',
    ropes: [rope],
    layers: Array.from({ length: shape.layers }, (_, i) => ({
      ...layer(`gpt_neox.layers.${i}`, shape, bias),
      window: null,
      rope,
    })),
    finalNorm: 'gpt_neox.final_layer_norm',
    head: wish.scalar ?? {
      kind: 'language',
      tensor: tied ? embedding : 'embed_out.weight',
      softcap: 0,
    },
    redundant: redundant(tied || wish.scalar !== null, wish.scalar !== null),
  } satisfies Spec;
};

/** Causal masks and rotary frequencies are stored with the weights. */
const redundant = (withoutProjection: boolean, isScalar: boolean): RegExp =>
  new RegExp(
    [
      String.raw`\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$`,
      ...(withoutProjection ? [String.raw`^embed_out\.weight$`] : []),
      ...(isScalar ? [] : [String.raw`^v_head\.`]),
    ].join('|'),
  );

function layer(name: string, shape: Shape, bias: boolean): Omit<Layer, 'window' | 'rope'> {
  const { hidden, heads, headDim, ffn } = shape;
  const linear = (part: string, rows: number, inputs: number, withBias: boolean): Linear => ({
    parts: [{ name: `${name}.${part}`, rows }],
    inputs,
    bias: withBias,
  });
  // Stored by head, then query, key, value; wanted the other way round.
  const ranges = [0, 1, 2].flatMap((part) =>
    Array.from({ length: heads }, (_, h) => [(3 * h + part) * headDim, headDim] as const),
  );
  return {
    name: `${name}.attention`,
    attentionNorm: `${name}.input_layernorm`,
    attentionOutNorm: null,
    ffnNorm: `${name}.post_attention_layernorm`,
    ffnOutNorm: null,
    qkv: {
      parts: [{ name: `${name}.attention.query_key_value`, rows: 3 * hidden, ranges }],
      inputs: hidden,
      bias,
    },
    queryNorm: '',
    keyNorm: '',
    out: linear('attention.dense', hidden, hidden, bias),
    gate: null,
    up: linear('mlp.dense_h_to_4h', ffn, hidden, true),
    down: linear('mlp.dense_4h_to_h', hidden, ffn, true),
  };
}
