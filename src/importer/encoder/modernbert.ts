/**
 * ModernBERT (Warner et al. 2024): rotary positions, norms before and without biases, gated feed-forward; every n-th
 * layer sees all tokens, those between a window on both sides, with a rope of its own.
 */

import type { Fields } from '../fields.ts';
import { rope } from '../rope.ts';
import type { Linear, Rope } from '../spec.ts';
import {
  activationOf,
  contextOf,
  ignoreTraining,
  linearOf,
  sizesOf,
  type EncoderFamily,
  type Sizes,
} from './common.ts';
import type { ClassificationHead, EncoderLayer } from './spec.ts';
import type { LabelHead } from './labels.ts';

export const modernBert: EncoderFamily = (f, { context, head }) => {
  const { layers, ffn, ...shape } = sizesOf(f);
  const sizes = { layers, ffn, ...shape };
  ignoreTraining(f);
  ignoreOthers(f);
  const [full, local] = ropesOf(f, shape.headDim);
  const slides = slidingLayers(f, layers);
  const window = Math.floor(f.count('local_attention', 128) / 2);
  const bias = {
    attention: f.flag('attention_bias', false),
    ffn: f.flag('mlp_bias', false),
  };
  return {
    ...shape,
    family: 'ModernBERT',
    context: contextOf(f, f.count('max_position_embeddings'), context),
    embedding: {
      tensor: 'model.embeddings.tok_embeddings.weight',
      width: shape.hidden,
      positions: null,
      types: null,
      projection: null,
      norm: 'model.embeddings.norm',
    },
    norm: {
      kind: 'layer',
      epsilon: f.positive('norm_eps', 1e-5),
      offset: 0,
      bias: f.flag('norm_bias', false),
    },
    ffn: { width: ffn, activation: activationOf(f, 'hidden_activation', 'gelu') },
    norms: 'before',
    ropes: [full, local],
    relative: null,
    layers: Array.from({ length: layers }, (_, i) => ({
      ...layerOf(i, sizes, bias),
      window: slides(i) ? window : null,
      rope: slides(i) ? local : full,
    })),
    convolution: null,
    finalNorm: 'model.final_norm',
    head: modernHead(f, sizes, head),
    redundant: /\.rotary_emb\.inv_freq$/,
  };
};

/** Dropouts, and how its first implementation packed and compiled; `layer_norm_eps` is of no use to it. */
function ignoreOthers(f: Fields): void {
  f.ignore('embedding_dropout', 'mlp_dropout', 'initializer_cutoff_factor', 'layer_norm_eps');
  f.ignore('deterministic_flash_attn', 'reference_compile', 'repad_logits_with_grad');
  f.ignore('sparse_prediction', 'sparse_pred_ignore_index', 'decoder_bias');
  f.ignore('position_embedding_type', 'cls_token_id', 'bos_token_id', 'classifier_dropout');
}

function layerOf(
  i: number,
  { hidden, ffn }: Sizes,
  bias: { readonly attention: boolean; readonly ffn: boolean },
): Omit<EncoderLayer, 'window' | 'rope'> {
  const name = `model.layers.${i}`;
  /** The n-th part of one stored layer. */
  const slice = (
    tensor: string,
    n: number,
    of: number,
    rows: number,
    hasBias: boolean,
  ): Linear => ({
    parts: [{ name: `${name}.${tensor}`, rows: of * rows, ranges: [[n * rows, rows]] }],
    inputs: hidden,
    bias: hasBias,
  });
  return {
    attentionNorm: i === 0 ? null : `${name}.attn_norm`, // the embeddings are normalised already
    ffnNorm: `${name}.mlp_norm`,
    query: slice('attn.Wqkv', 0, 3, hidden, bias.attention),
    key: slice('attn.Wqkv', 1, 3, hidden, bias.attention),
    value: slice('attn.Wqkv', 2, 3, hidden, bias.attention),
    positionKey: null,
    positionQuery: null,
    out: linearOf(`${name}.attn.Wo`, hidden, hidden, bias.attention),
    gate: slice('mlp.Wi', 0, 2, ffn, bias.ffn),
    up: slice('mlp.Wi', 1, 2, ffn, bias.ffn),
    down: linearOf(`${name}.mlp.Wo`, hidden, ffn, bias.ffn),
  };
}

function modernHead(f: Fields, { hidden }: Sizes, head: LabelHead): ClassificationHead {
  const pooling = f.oneOf('classifier_pooling', ['cls', 'mean'], 'cls');
  return {
    ...head,
    pooling: pooling === 'cls' ? 'first' : 'mean',
    dense: linearOf('head.dense', hidden, hidden, f.flag('classifier_bias', false)),
    activation: activationOf(f, 'classifier_activation', 'gelu'),
    norm: 'head.norm',
    name: 'classifier',
  };
}

/** `layer_types` in newer configs, every n-th in older ones. */
function slidingLayers(f: Fields, layers: number): (i: number) => boolean {
  const every = f.count('global_attn_every_n_layers', 3);
  const types = f.list('layer_types', layers, (item): item is string =>
    ['full_attention', 'sliding_attention'].includes(String(item)),
  );
  return (i) => (types === null ? i % every !== 0 : types[i] === 'sliding_attention');
}

/** `rope_parameters` by kind of layer in newer configs, a theta for each in older ones. */
function ropesOf(f: Fields, dim: number): readonly [full: Rope, local: Rope] {
  const context = f.count('max_position_embeddings');
  const parameters = f.object('rope_parameters');
  const global = f.positive('global_rope_theta', 160_000);
  const near = f.optional('local_rope_theta', 10_000) || global;
  const of = (name: string, type: string, theta: number): Rope => {
    const scaling = parameters?.object(type) ?? null;
    return rope({
      name,
      dim,
      theta: scaling?.positive('rope_theta', theta) ?? theta,
      scaling,
      context,
    });
  };
  const ropes = [
    of('rope', 'full_attention', global),
    of('rope.local', 'sliding_attention', near),
  ] as const;
  parameters?.done();
  return ropes;
}
