/** BERT (Devlin et al. 2019), and RoBERTa (Liu et al. 2019), which has other positions and another head. */

import type { Fields } from '../fields.ts';
import type { Norm } from '../spec.ts';
import {
  activationOf,
  bertLayer,
  contextOf,
  ignoreTraining,
  linearOf,
  sizesOf,
  type EncoderFamily,
  type Sizes,
} from './common.ts';
import type { ClassificationHead, EncoderSpec } from './spec.ts';

const NAMES = { query: 'query', key: 'key', value: 'value' };

export const bert: EncoderFamily = (f, { context, head }) => {
  const sizes = sizesOf(f);
  const rows = f.count('max_position_embeddings');
  f.ignore('directionality', 'pooler_fc_size', 'pooler_num_attention_heads', 'pooler_type');
  f.ignore('pooler_num_fc_layers', 'pooler_size_per_head');
  return like(f, 'bert', sizes, {
    family: 'BERT',
    context: contextOf(f, rows, context),
    positions: { rows, first: 0 },
    types: f.count('type_vocab_size', 2),
    head: {
      ...head,
      dense: linearOf('bert.pooler.dense', sizes.hidden, sizes.hidden),
      name: 'classifier',
    },
    redundant: /^bert\.embeddings\.position_ids$/,
  });
};

/** Its positions begin after the padding's: the first token is at row `pad_token_id` + 1. */
export const roberta =
  (family: string): EncoderFamily =>
  (f, { context, head }) => {
    const sizes = sizesOf(f);
    const rows = f.count('max_position_embeddings');
    const pad = f.get('pad_token_id') ?? 1;
    if (typeof pad !== 'number' || !Number.isSafeInteger(pad) || pad < 0 || pad + 1 >= rows)
      return f.refuse('pad_token_id', 'a whole number below max_position_embeddings');
    return like(f, 'roberta', sizes, {
      family,
      context: contextOf(f, rows - pad - 1, context),
      positions: { rows, first: pad + 1 },
      types: f.count('type_vocab_size', 2),
      head: {
        ...head,
        dense: linearOf('classifier.dense', sizes.hidden, sizes.hidden),
        name: 'classifier.out_proj',
      },
      // Older files keep the pooler of the pretrained model, which their head does not use.
      redundant: /^roberta\.(embeddings\.position_ids$|pooler\.)/,
    });
  };

interface Differences {
  readonly family: string;
  readonly context: number;
  readonly positions: { readonly rows: number; readonly first: number };
  /** How many texts tokens can belong to. */
  readonly types: number;
  readonly head: Omit<ClassificationHead, 'pooling' | 'activation' | 'norm'>;
  readonly redundant: RegExp;
}

function like(f: Fields, body: string, sizes: Sizes, differs: Differences): EncoderSpec {
  const { family, context, positions, types, head, redundant } = differs;
  f.only('position_embedding_type', 'absolute');
  ignoreTraining(f);
  const { layers, ffn, ...shape } = sizes;
  const norm: Norm = { kind: 'layer', epsilon: f.positive('layer_norm_eps', 1e-12), offset: 0 };
  const embeddings = `${body}.embeddings`;
  return {
    ...shape,
    family,
    context,
    embedding: {
      tensor: `${embeddings}.word_embeddings.weight`,
      width: sizes.hidden,
      positions: { tensor: `${embeddings}.position_embeddings.weight`, ...positions },
      types: { tensor: `${embeddings}.token_type_embeddings.weight`, rows: types },
      projection: null,
      norm: `${embeddings}.LayerNorm`,
    },
    norm,
    ffn: { width: ffn, activation: activationOf(f, 'hidden_act', 'gelu') },
    norms: 'after',
    ropes: [],
    relative: null,
    layers: Array.from({ length: layers }, (_, i) =>
      bertLayer(`${body}.encoder.layer.${i}`, sizes, NAMES),
    ),
    convolution: null,
    finalNorm: null,
    head: { ...head, pooling: 'first', activation: 'tanh', norm: null },
    redundant,
  };
}
