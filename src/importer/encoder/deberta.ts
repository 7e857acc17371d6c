/**
 * DeBERTa v2 and v3 (He et al. 2021, 2023): one file layout. Distances beside contents decide what is attended to,
 * far ones in buckets that grow with their logarithm.
 */

import type { Fields } from '../fields.ts';
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
import type { EncoderLayer, EncoderSpec, Relative } from './spec.ts';

const NAMES = { query: 'query_proj', key: 'key_proj', value: 'value_proj' };
const EMBEDDINGS = 'deberta.embeddings';
const MOST_TAPS = 255;

export const debertaV2: EncoderFamily = (f, { context, head }) => {
  const sizes = sizesOf(f);
  f.only('attention_head_size', sizes.headDim);
  f.ignore('legacy');
  ignoreTraining(f);
  const { layers, ffn, ...shape } = sizes;
  const relative = f.flag('relative_attention', false) ? relativeOf(f) : null;
  const terms = relative === null ? NO_TERMS : termsOf(f);
  return {
    ...shape,
    family: 'DeBERTa v2',
    context: contextOf(f, f.count('max_position_embeddings'), context),
    embedding: embeddingOf(f, sizes),
    norm: { kind: 'layer', epsilon: f.positive('layer_norm_eps', 1e-7), offset: 0 },
    ffn: { width: ffn, activation: activationOf(f, 'hidden_act', 'gelu') },
    norms: 'after',
    ropes: [],
    relative,
    layers: Array.from({ length: layers }, (_, i) => layerOf(i, sizes, terms)),
    convolution: convolutionOf(f, sizes),
    finalNorm: null,
    head: {
      ...head,
      pooling: 'first',
      dense: poolerOf(f, sizes),
      activation: activationOf(f, 'pooler_hidden_act', 'gelu'),
      norm: null,
      name: 'classifier',
    },
    redundant: /^deberta\.embeddings\.position_ids$/,
  };
};

function embeddingOf(f: Fields, { hidden }: Sizes): EncoderSpec['embedding'] {
  const width = f.count('embedding_size', hidden);
  const biased = f.flag('position_biased_input', true);
  const types = f.get('type_vocab_size') === 0 ? 0 : f.count('type_vocab_size', 2);
  const rows = f.count('max_position_embeddings');
  return {
    tensor: `${EMBEDDINGS}.word_embeddings.weight`,
    width,
    positions: biased
      ? { tensor: `${EMBEDDINGS}.position_embeddings.weight`, rows, first: 0 }
      : null,
    types:
      types === 0 ? null : { tensor: `${EMBEDDINGS}.token_type_embeddings.weight`, rows: types },
    projection:
      width === hidden ? null : linearOf(`${EMBEDDINGS}.embed_proj`, hidden, width, false),
    norm: `${EMBEDDINGS}.LayerNorm`,
  };
}

/** Its padding keeps a text's length, which an even kernel's would not. */
function convolutionOf(f: Fields, { hidden }: Sizes): EncoderSpec['convolution'] {
  const given = f.get('conv_kernel_size') ?? 0;
  if (given === 0) {
    f.ignore('conv_act', 'conv_groups');
    return null;
  }
  const taps = f.count('conv_kernel_size', undefined, MOST_TAPS);
  if (taps % 2 === 0) f.refuse('conv_kernel_size', 'an odd number');
  f.only('conv_groups', 1);
  return {
    taps,
    linear: { ...linearOf('deberta.encoder.conv.conv', hidden, taps * hidden), taps },
    activation: activationOf(f, 'conv_act', 'tanh'),
    norm: 'deberta.encoder.conv.LayerNorm',
  };
}

/** The head's layer has the width of the model, as in all published files. */
function poolerOf(f: Fields, { hidden }: Sizes) {
  f.only('pooler_hidden_size', hidden);
  return linearOf('pooler.dense', hidden, hidden);
}

interface Terms {
  readonly contentToPosition: boolean;
  readonly positionToContent: boolean;
  /** Distances go through the projections of contents, not through their own. */
  readonly shared: boolean;
}

const NO_TERMS: Terms = { contentToPosition: false, positionToContent: false, shared: false };

function termsOf(f: Fields): Terms {
  const raw = f.get('pos_att_type') ?? [];
  const kinds: readonly unknown[] = typeof raw === 'string' ? raw.split('|') : list(f, raw);
  if (!kinds.every((kind) => kind === 'c2p' || kind === 'p2c'))
    f.refuse('pos_att_type', 'c2p, p2c, c2p|p2c, or a list of these');
  return {
    contentToPosition: kinds.includes('c2p'),
    positionToContent: kinds.includes('p2c'),
    shared: f.flag('share_att_key', false),
  };
}

const list = (f: Fields, raw: unknown): readonly unknown[] =>
  Array.isArray(raw) ? raw : f.refuse('pos_att_type', 'c2p|p2c, or a list of these');

function layerOf(i: number, sizes: Sizes, terms: Terms): EncoderLayer {
  const name = `deberta.encoder.layer.${i}`;
  const layer = bertLayer(name, sizes, NAMES);
  const own = (part: string) =>
    linearOf(`${name}.attention.self.${part}`, sizes.heads * sizes.headDim, sizes.hidden);
  const { contentToPosition, positionToContent, shared } = terms;
  return {
    ...layer,
    positionKey: !contentToPosition ? null : shared ? layer.key : own('pos_key_proj'),
    positionQuery: !positionToContent ? null : shared ? layer.query : own('pos_query_proj'),
  };
}

/** A negative `max_relative_positions` is the longest text, no `position_buckets` are distances as they are. */
function relativeOf(f: Fields): Relative {
  const positions = f.get('max_relative_positions') ?? -1;
  const most =
    typeof positions === 'number' && positions < 1
      ? f.count('max_position_embeddings')
      : f.count('max_relative_positions');
  const given = f.get('position_buckets') ?? -1;
  const buckets = typeof given === 'number' && given < 1 ? null : f.count('position_buckets');
  const span = buckets ?? most;
  if (buckets !== null && (buckets % 2 !== 0 || most <= buckets / 2 + 1))
    f.refuse('position_buckets', `an even number below twice the ${most} relative positions`);
  f.only('norm_rel_ebd', 'none', 'layer_norm');
  return {
    tensor: 'deberta.encoder.rel_embeddings.weight',
    rows: 2 * span,
    norm: f.get('norm_rel_ebd') === 'layer_norm' ? 'deberta.encoder.LayerNorm' : null,
    rowOf(distance) {
      const bucket = buckets === null ? distance : logBucket(distance, buckets, most);
      return Math.min(Math.max(bucket + span, 0), 2 * span - 1);
    },
  };
}

/** Distances up to half the buckets as they are; beyond, ceil(log(d / mid) / log((most - 1) / mid) * (mid - 1)) + mid. */
function logBucket(distance: number, buckets: number, most: number): number {
  const [mid, far] = [buckets / 2, Math.abs(distance)];
  if (far <= mid) return distance;
  const share = Math.log(far / mid) / Math.log((most - 1) / mid);
  return Math.sign(distance) * (Math.ceil(share * (mid - 1)) + mid);
}
