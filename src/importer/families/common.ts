/**
 * What families share. Most are the Llama block with a few differences, so a family says only these; tensor
 * names are those of the published files.
 */

import { MOST_LAYERS, type Fields } from '../fields.ts';
import { rope, type RopeSettings } from '../rope.ts';
import type { Attention, FeedForward, Head, Layer, Linear, Norm, Rope, Spec } from '../spec.ts';

/** What the import asks for beside the config. */
export interface Wish {
  /** Longest sequence; null: the config's. */
  readonly context: number | null;
  /** null: a vocabulary projection. */
  readonly scalar: Extract<Head, { kind: 'scalar' }> | null;
}

/** Reads a config into a description. Throws an Error that names the field that is not understood. */
export type Family = (fields: Fields, wish: Wish) => Spec;

export interface Shape {
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly context: number;
}

/** Where a family departs from Llama. */
export interface Differences {
  readonly family: string;
  readonly activation?: FeedForward['activation'];
  readonly norm?: Partial<Norm>;
  readonly attention?: Partial<Attention>;
  readonly bias?: { readonly qkv?: boolean; readonly out?: boolean; readonly ffn?: boolean };
  /** Norms before attention and feed-forward, after them, or both. */
  readonly norms?: 'before' | 'after' | 'around';
  readonly embeddingScale?: number;
  readonly softcap?: number;
  readonly tied?: boolean;
  /** Default: one rope for all layers. */
  readonly ropes?: readonly Rope[];
  /** Default: full attention with the first rope. */
  readonly layer?: (i: number) => Pick<Layer, 'window' | 'rope'>;
  /** Where projections are stored in one tensor. */
  readonly projections?: (name: string) => Partial<Pick<Layer, 'qkv' | 'gate' | 'up'>>;
}

/** The sizes of a model, under the names that all but GPT-2 use. */
export function shapeOf(f: Fields, wish: Wish): Shape {
  const heads = f.count('num_attention_heads');
  const kvHeads = f.count('num_key_value_heads', heads);
  const hidden = f.count('hidden_size');
  const headDim = f.count('head_dim', hidden / heads);
  if (heads % kvHeads !== 0) f.refuse('num_key_value_heads', `a divisor of ${heads}`);
  if (headDim % 16 !== 0) f.refuse('head_dim', `a multiple of 16, given ${headDim}`);
  return {
    hidden,
    heads,
    kvHeads,
    headDim,
    vocab: f.count('vocab_size'),
    layers: f.count('num_hidden_layers', undefined, MOST_LAYERS),
    ffn: f.count('intermediate_size'),
    context: contextOf(f, 'max_position_embeddings', wish),
  };
}

/** The config's context, or a shorter one where the import asks for it. */
export function contextOf(f: Fields, name: string, { context }: Wish): number {
  const most = f.count(name);
  if (context !== null && context > most)
    f.refuse(name, `a context of at most as many tokens, asked for ${context}`);
  return context ?? most;
}

/** The dims of a head that turn: all of them, or a share of them. */
export function partialDim(f: Fields, { headDim }: Shape, name: string): number {
  const share = f.positive(name, 1);
  return share <= 1 ? Math.floor(headDim * share) : f.refuse(name, 'a number up to 1');
}

/**
 * The one rope of a config: `rope_theta` and `rope_scaling`, or `rope_parameters` in newer ones. `theta` is that of a
 * config that does not say.
 */
export function ropeOf(
  f: Fields,
  shape: Shape,
  {
    dim,
    theta = 10000,
    original = null,
  }: Partial<Pick<RopeSettings, 'dim' | 'theta' | 'original'>> = {},
): Rope {
  const parameters = f.object('rope_parameters');
  const scaling = f.object('rope_scaling');
  return rope({
    name: 'rope',
    dim: dim ?? shape.headDim,
    theta: (parameters?.has('rope_theta') ? parameters : f).positive('rope_theta', theta),
    scaling: parameters ?? scaling,
    context: f.count('max_position_embeddings'),
    original,
    asked: shape.context,
  });
}

/** A window no shorter than the context changes nothing. */
export const windowOf = (window: number | null, { context }: Shape): number | null =>
  window !== null && window < context ? window : null;

const LAYER_TYPES = ['full_attention', 'sliding_attention'] as const;
type LayerType = (typeof LAYER_TYPES)[number];

/** One kind of attention per layer; null: the config does not say. */
export const layerTypes = (f: Fields, { layers }: Shape): readonly LayerType[] | null =>
  f.list('layer_types', layers, (item): item is LayerType =>
    (LAYER_TYPES as readonly unknown[]).includes(item),
  );

/** The block that Llama began, with the differences of a family. */
export function llamaLike(f: Fields, wish: Wish, shape: Shape, differs: Differences): Spec {
  const { headDim } = shape;
  const ropes = differs.ropes ?? [ropeOf(f, shape)];
  const all = { window: null, rope: ropes[0] ?? null };
  const tied = f.flag('tie_word_embeddings', differs.tied ?? false);
  const { embeddingScale: scale = 1, softcap = 0 } = differs;
  return {
    ...shape,
    family: differs.family,
    prefix: 'model.',
    embedding: { tensor: 'model.embed_tokens.weight', scale, positions: null },
    norm: {
      kind: 'rms',
      epsilon: f.positive('rms_norm_eps', 1e-6),
      offset: 0,
      ...differs.norm,
    },
    attention: { scale: headDim ** -0.5, softcap: 0, queryNorm: 'none', ...differs.attention },
    ffn: { width: shape.ffn, activation: differs.activation ?? 'silu' },
    residual: 'sequential',
    ropes,
    layers: Array.from({ length: shape.layers }, (_, i) => ({
      ...llamaLayer(`model.layers.${i}`, shape, differs),
      ...(differs.layer?.(i) ?? all),
    })),
    finalNorm: 'model.norm',
    head: wish.scalar ?? {
      kind: 'language',
      tensor: tied ? 'model.embed_tokens.weight' : 'lm_head.weight',
      softcap,
    },
    redundant: redundant(tied, wish),
  };
}

/** Rotary frequencies of older exports; a tied projection stored a second time; a head that is not asked for. */
const redundant = (tied: boolean, { scalar }: Wish): RegExp =>
  new RegExp(
    [
      String.raw`\.rotary_emb\.inv_freq$`,
      ...(tied || scalar !== null ? [String.raw`^lm_head\.weight$`] : []),
      ...(scalar === null ? [String.raw`^v_head\.`] : []),
    ].join('|'),
  );

function llamaLayer(
  name: string,
  shape: Shape,
  { norms = 'before', bias = {}, projections }: Differences,
): Omit<Layer, 'window' | 'rope'> {
  const { hidden, ffn } = shape;
  const [attention, mlp] = [`${name}.self_attn`, `${name}.mlp`];
  const linear = (part: string, rows: number, inputs: number, withBias = false): Linear => ({
    parts: [{ name: part, rows }],
    inputs,
    bias: withBias,
  });
  const q = shape.heads * shape.headDim;
  const kv = shape.kvHeads * shape.headDim;
  return {
    name: attention,
    ...normNames(name, norms),
    qkv: {
      parts: [
        { name: `${attention}.q_proj`, rows: q },
        { name: `${attention}.k_proj`, rows: kv },
        { name: `${attention}.v_proj`, rows: kv },
      ],
      inputs: hidden,
      bias: bias.qkv ?? false,
    },
    queryNorm: `${attention}.q_norm`,
    keyNorm: `${attention}.k_norm`,
    out: linear(`${attention}.o_proj`, hidden, q, bias.out),
    gate: linear(`${mlp}.gate_proj`, ffn, hidden, bias.ffn),
    up: linear(`${mlp}.up_proj`, ffn, hidden, bias.ffn),
    down: linear(`${mlp}.down_proj`, hidden, ffn, bias.ffn),
    ...projections?.(name),
  };
}

/** `post_attention_layernorm` stands before the feed-forward in Llama, and after the attention in Gemma and OLMo 2. */
function normNames(name: string, norms: 'before' | 'after' | 'around') {
  const before = norms !== 'after';
  const after = norms !== 'before';
  const ffn = norms === 'around' ? 'pre_feedforward_layernorm' : 'post_attention_layernorm';
  return {
    attentionNorm: before ? `${name}.input_layernorm` : null,
    attentionOutNorm: after ? `${name}.post_attention_layernorm` : null,
    ffnNorm: before ? `${name}.${ffn}` : null,
    ffnOutNorm: after ? `${name}.post_feedforward_layernorm` : null,
  };
}
