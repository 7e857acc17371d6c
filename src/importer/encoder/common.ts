/** What encoder families share: sizes, activations, and the layers of BERT, which RoBERTa and DeBERTa keep. */

import { MOST_LAYERS, type Fields } from '../fields.ts';
import type { Activation, Linear } from '../spec.ts';
import type { LabelHead } from './labels.ts';
import type { EncoderLayer, EncoderSpec } from './spec.ts';

/** Reads a config into a description. Throws an Error that names the field that is not understood. */
export type EncoderFamily = (
  fields: Fields,
  wish: { readonly context: number | null; readonly head: LabelHead },
) => EncoderSpec;

export type Sizes = Pick<EncoderSpec, 'vocab' | 'hidden' | 'heads' | 'headDim'> & {
  readonly layers: number;
  readonly ffn: number;
};

export function sizesOf(f: Fields): Sizes {
  const [hidden, heads] = [f.count('hidden_size'), f.count('num_attention_heads')];
  if (hidden % heads !== 0) f.refuse('num_attention_heads', `a divisor of ${hidden}`);
  return {
    vocab: f.count('vocab_size'),
    hidden,
    heads,
    headDim: hidden / heads,
    layers: f.count('num_hidden_layers', undefined, MOST_LAYERS),
    ffn: f.count('intermediate_size'),
  };
}

/** The longest text: `most` tokens, or fewer where the import asks for it. */
export function contextOf(f: Fields, most: number, asked: number | null): number {
  if (asked !== null && asked > most)
    f.refuse('max_position_embeddings', `a context of at most ${most} tokens, asked for ${asked}`);
  return asked ?? most;
}

const ACTIVATIONS = {
  gelu: 'gelu',
  gelu_new: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  silu: 'silu',
  swish: 'silu',
  relu: 'relu',
  tanh: 'tanh',
} as const satisfies Record<string, Activation>;

export const activationOf = (f: Fields, name: string, missing: keyof typeof ACTIVATIONS) =>
  ACTIVATIONS[f.oneOf(name, Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[], missing)];

export const linearOf = (name: string, rows: number, inputs: number, bias = true): Linear => ({
  parts: [{ name, rows }],
  inputs,
  bias,
});

interface AttentionNames {
  readonly query: string;
  readonly key: string;
  readonly value: string;
}

/** Layer NAME as BERT's files have it. */
export function bertLayer(
  name: string,
  { hidden, heads, headDim, ffn }: Sizes,
  names: AttentionNames,
): EncoderLayer {
  const width = heads * headDim;
  const inner = (part: string): Linear => linearOf(`${name}.attention.self.${part}`, width, hidden);
  return {
    attentionNorm: `${name}.attention.output.LayerNorm`,
    ffnNorm: `${name}.output.LayerNorm`,
    query: inner(names.query),
    key: inner(names.key),
    value: inner(names.value),
    positionKey: null,
    positionQuery: null,
    out: linearOf(`${name}.attention.output.dense`, hidden, width),
    gate: null,
    up: linearOf(`${name}.intermediate.dense`, ffn, hidden),
    down: linearOf(`${name}.output.dense`, hidden, ffn),
    window: null,
    rope: null,
  };
}

/** Fields of training, and of heads that are not here. */
export function ignoreTraining(f: Fields): void {
  f.ignore('attention_probs_dropout_prob', 'hidden_dropout_prob', 'pooler_dropout');
  f.ignore('cls_token_id', 'position_ids', 'summary_type', 'output_past', 'layer_norm_type');
  f.ignore('tie_word_embeddings'); // of the projection to the vocabulary, which is not here
}
