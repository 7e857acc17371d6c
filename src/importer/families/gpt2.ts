/** GPT-2: learned positions, layer norms, biases everywhere, weights stored as [inputs, outputs]. */

import { MOST_LAYERS, type Fields } from '../fields.ts';
import type { Layer, Linear, Spec } from '../spec.ts';
import { contextOf, type Family } from './common.ts';

const ACTIVATIONS = {
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu: 'gelu',
} as const;

export const gpt2: Family = (f, wish) => {
  refuseVariants(f);
  const [hidden, heads, layers] = [
    f.count('n_embd'),
    f.count('n_head'),
    f.count('n_layer', undefined, MOST_LAYERS),
  ];
  const headDim = hidden / heads;
  if (headDim % 8 !== 0) f.refuse('n_head', `heads of a multiple of 8 dims, given ${headDim}`);
  const activation = f.oneOf(
    'activation_function',
    Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[],
    'gelu_new',
  );
  const width = f.count('n_inner', 4 * hidden);
  const embedding = 'transformer.wte.weight';
  f.only('tie_word_embeddings', true);
  return {
    family: 'GPT-2',
    prefix: 'transformer.',
    vocab: f.count('vocab_size'),
    hidden,
    heads,
    kvHeads: heads,
    headDim,
    context: contextOf(f, 'n_positions', wish),
    embedding: {
      tensor: embedding,
      scale: 1,
      positions: { tensor: 'transformer.wpe.weight', rows: f.count('n_positions') },
    },
    norm: { kind: 'layer', epsilon: f.positive('layer_norm_epsilon', 1e-5), offset: 0 },
    attention: { scale: headDim ** -0.5, softcap: 0, queryNorm: 'none' },
    ffn: { width, activation: ACTIVATIONS[activation] },
    residual: 'sequential',
    ropes: [],
    layers: Array.from({ length: layers }, (_, i) => layer(`transformer.h.${i}`, hidden, width)),
    finalNorm: 'transformer.ln_f',
    head: wish.scalar ?? { kind: 'language', tensor: embedding, softcap: 0 },
    redundant: redundant(wish.scalar !== null),
  } satisfies Spec;
};

function refuseVariants(f: Fields): void {
  f.only('scale_attn_weights', true);
  f.only('scale_attn_by_inverse_layer_idx', false);
  f.only('add_cross_attention', false);
  f.ignore('reorder_and_upcast_attn', 'n_ctx', 'attn_pdrop', 'embd_pdrop', 'resid_pdrop');
  f.ignore('summary_activation', 'summary_first_dropout', 'summary_proj_to_labels');
  f.ignore('summary_type', 'summary_use_proj');
}

/** Causal masks are stored with the weights; the projection is the embedding. */
const redundant = (isScalar: boolean): RegExp =>
  new RegExp(
    String.raw`\.attn\.(bias|masked_bias)$|^lm_head\.weight$${isScalar ? '' : '|^v_head\\.'}`,
  );

function layer(name: string, hidden: number, width: number): Layer {
  const linear = (part: string, rows: number, inputs: number): Linear => ({
    parts: [{ name: `${name}.${part}`, rows }],
    inputs,
    bias: true,
    turned: true,
  });
  return {
    name: `${name}.attn`,
    attentionNorm: `${name}.ln_1`,
    attentionOutNorm: null,
    ffnNorm: `${name}.ln_2`,
    ffnOutNorm: null,
    qkv: linear('attn.c_attn', 3 * hidden, hidden),
    queryNorm: '',
    keyNorm: '',
    out: linear('attn.c_proj', hidden, hidden),
    gate: null,
    up: linear('mlp.c_fc', width, hidden),
    down: linear('mlp.c_proj', hidden, width),
    window: null,
    rope: null,
  };
}
