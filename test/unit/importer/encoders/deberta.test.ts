/** DeBERTa v2 and v3 with a classification head, in float64 from the published definition. */

import { expect, test } from 'vitest';
import { describeEncoder } from '../../../../src/importer/encoder/families.ts';
import { add, dot, gelu, headsOf, times } from '../families/arithmetic.ts';
import {
  publish,
  type Config,
  type Shapes,
  type Tensors,
  type Vector,
} from '../families/published.ts';
import {
  affine,
  attendAll,
  bertLayer,
  bertLayerShapes,
  linearShapes,
  normed,
  normShapes,
  perLayer,
  SIZES,
} from './arithmetic.ts';
import { provesEncoder, type Text } from './proof.ts';

const CONTEXT = 64;
const QKV = ['query_proj', 'key_proj', 'value_proj'] as const;
const EPSILON = 1e-7;

/** What v3 publishes, but for the sizes. */
const v3: Config = {
  architectures: ['DebertaV2ForSequenceClassification'],
  attention_probs_dropout_prob: 0.1,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  hidden_size: SIZES.hidden,
  id2label: { '0': 'LABEL_0' },
  initializer_range: 0.02,
  intermediate_size: SIZES.ffn,
  label2id: { LABEL_0: 0 },
  layer_norm_eps: EPSILON,
  max_position_embeddings: CONTEXT,
  max_relative_positions: -1,
  model_type: 'deberta-v2',
  norm_rel_ebd: 'layer_norm',
  num_attention_heads: SIZES.heads,
  num_hidden_layers: SIZES.layers,
  pad_token_id: 0,
  pooler_dropout: 0,
  pooler_hidden_act: 'gelu',
  pooler_hidden_size: SIZES.hidden,
  pos_att_type: ['p2c', 'c2p'],
  position_biased_input: false,
  position_buckets: 16,
  relative_attention: true,
  share_att_key: true,
  torch_dtype: 'float32',
  type_vocab_size: 0,
  vocab_size: SIZES.vocab,
};

interface Variant {
  /** Rows of the table of distances, half of it for each direction. */
  readonly span: number;
  readonly bucketed: boolean;
  readonly tableNorm: boolean;
  readonly shared: boolean;
  readonly terms: readonly ('c2p' | 'p2c')[];
  /** Width of the embeddings. */
  readonly width: number;
  /** Learned positions and types are added to the input. */
  readonly biased: boolean;
  /** Neighbours that a convolution beside the first layer sees, and what it is put through; null: none. */
  readonly convolution: { readonly taps: number; readonly act: (x: number) => number } | null;
}

const V3: Variant = {
  span: 16,
  bucketed: true,
  tableNorm: true,
  shared: true,
  terms: ['c2p', 'p2c'],
  width: SIZES.hidden,
  biased: false,
  convolution: null,
};

const shapesOf = (v: Variant): Shapes => ({
  'deberta.embeddings.word_embeddings.weight': [SIZES.vocab, v.width],
  ...(v.biased
    ? {
        'deberta.embeddings.position_embeddings.weight': [CONTEXT, v.width],
        'deberta.embeddings.token_type_embeddings.weight': [2, v.width],
      }
    : {}),
  ...(v.width === SIZES.hidden
    ? {}
    : { 'deberta.embeddings.embed_proj.weight': [SIZES.hidden, v.width] }),
  ...normShapes('deberta.embeddings.LayerNorm'),
  'deberta.encoder.rel_embeddings.weight': [2 * v.span, SIZES.hidden],
  ...(v.tableNorm ? normShapes('deberta.encoder.LayerNorm') : {}),
  ...perLayer((i) => {
    const self = `deberta.encoder.layer.${i}.attention.self`;
    const own = (part: string) => linearShapes(`${self}.${part}`, SIZES.hidden, SIZES.hidden);
    return {
      ...bertLayerShapes(`deberta.encoder.layer.${i}`, QKV),
      ...(!v.shared && v.terms.includes('c2p') ? own('pos_key_proj') : {}),
      ...(!v.shared && v.terms.includes('p2c') ? own('pos_query_proj') : {}),
    };
  }),
  ...(v.convolution === null
    ? {}
    : {
        'deberta.encoder.conv.conv.weight': [SIZES.hidden, SIZES.hidden, v.convolution.taps],
        'deberta.encoder.conv.conv.bias': [SIZES.hidden],
        ...normShapes('deberta.encoder.conv.LayerNorm'),
      }),
  ...linearShapes('pooler.dense', SIZES.hidden, SIZES.hidden),
  ...linearShapes('classifier', 1, SIZES.hidden),
});

/** Figure of the paper's code: near distances are their own bucket, far ones share those that are left. */
function bucketOf(distance: number, buckets: number, most: number): number {
  const mid = buckets / 2;
  if (distance <= mid && distance >= -mid) return distance;
  const log = Math.log(Math.abs(distance) / mid) / Math.log((most - 1) / mid);
  return Math.sign(distance) * (mid + Math.ceil(log * (mid - 1)));
}

function embedded(t: Tensors, v: Variant, { ids, types }: Text): Vector[] {
  const table = (name: string): Vector[] => t.matrix(`deberta.embeddings.${name}.weight`);
  return ids.map((id, i) => {
    const word = table('word_embeddings')[id]!;
    const sum = v.biased
      ? add(add(word, table('position_embeddings')[i]!), table('token_type_embeddings')[types[i]!]!)
      : word;
    const wide = v.width === SIZES.hidden ? sum : times(table('embed_proj'), sum);
    return normed(t, 'deberta.embeddings.LayerNorm', wide, EPSILON);
  });
}

/** Conv1d over the embeddings, zeros beyond both ends; added to what the first layer gives, and normalised. */
function withConvolution(
  t: Tensors,
  { convolution }: Variant,
  embeddings: readonly Vector[],
  given: readonly Vector[],
): Vector[] {
  if (convolution === null) return [...given];
  const { taps, act } = convolution;
  const weight = t.vector('deberta.encoder.conv.conv.weight');
  const bias = t.vector('deberta.encoder.conv.conv.bias');
  return given.map((residual, at) => {
    const out = bias.map((start, o) => {
      let sum = start;
      for (let i = 0; i < SIZES.hidden; i++)
        for (let tap = 0; tap < taps; tap++) {
          const x = embeddings[at + tap - (taps - 1) / 2]?.[i] ?? 0;
          sum += weight[(o * SIZES.hidden + i) * taps + tap]! * x;
        }
      return act(sum);
    });
    return normed(t, 'deberta.encoder.conv.LayerNorm', add(residual, out), EPSILON);
  });
}

function logits(t: Tensors, v: Variant, text: Text): Vector {
  const rows = t
    .matrix('deberta.encoder.rel_embeddings.weight')
    .map((row) => (v.tableNorm ? normed(t, 'deberta.encoder.LayerNorm', row, EPSILON) : row));
  /** delta(i, j) of the paper: between 0 and 2 * span - 1. */
  const delta = (i: number, j: number): number => {
    const bucket = v.bucketed ? bucketOf(i - j, v.span, CONTEXT) : i - j;
    return Math.max(0, Math.min(2 * v.span - 1, bucket + v.span));
  };
  const embeddings = embedded(t, v, text);
  let xs = embeddings;
  for (let l = 0; l < SIZES.layers; l++) {
    const layer = `deberta.encoder.layer.${l}`;
    const distances = (own: string, shared: string): Vector[][] =>
      rows.map((row) =>
        headsOf(affine(t, `${layer}.attention.self.${v.shared ? shared : own}`, row), SIZES.heads),
      );
    const keys = v.terms.includes('c2p') ? distances('pos_key_proj', 'key_proj') : null;
    const queries = v.terms.includes('p2c') ? distances('pos_query_proj', 'query_proj') : null;
    const scale = Math.sqrt(SIZES.dim * (1 + v.terms.length));
    xs = bertLayer(t, layer, xs, EPSILON, QKV, (q, k, value) =>
      attendAll(value, SIZES.heads, (h, i, j) => {
        const content = dot(q[i]![h]!, k[j]![h]!);
        const c2p = keys === null ? 0 : dot(q[i]![h]!, keys[delta(i, j)]![h]!);
        // For the key j the query stands at distance j - i, and the table is read the other way round.
        const back = Math.max(
          0,
          Math.min(
            2 * v.span - 1,
            v.span - (v.bucketed ? bucketOf(j - i, v.span, CONTEXT) : j - i),
          ),
        );
        const p2c = queries === null ? 0 : dot(k[j]![h]!, queries[back]![h]!);
        return (content + c2p + p2c) / scale;
      }),
    );
    if (l === 0) xs = withConvolution(t, v, embeddings, xs);
  }
  return affine(t, 'classifier', affine(t, 'pooler.dense', xs[0]!).map(gelu));
}

function proves(name: string, config: Config, changes: Partial<Variant>, seed: number): void {
  const variant = { ...V3, ...changes };
  const published = publish({ ...v3, ...config }, shapesOf(variant), seed);
  provesEncoder(name, published, (text) => logits(published.tensors, variant, text));
}

proves('DeBERTa v3', {}, {}, 1);
proves(
  'DeBERTa v2 with distances as they are, and projections of their own',
  { position_buckets: -1, max_relative_positions: 20, share_att_key: false, norm_rel_ebd: 'none' },
  { bucketed: false, span: 20, shared: false, tableNorm: false },
  3,
);
proves(
  'DeBERTa v2 with one term, narrow embeddings, learned positions and types',
  { pos_att_type: 'p2c', embedding_size: 32, position_biased_input: true, type_vocab_size: 2 },
  { terms: ['p2c'], width: 32, biased: true },
  4,
);

proves(
  'DeBERTa v2 with a convolution, as xlarge has it',
  { conv_kernel_size: 3, conv_act: 'gelu', conv_groups: 1 },
  { convolution: { taps: 3, act: gelu } },
  5,
);
proves(
  'DeBERTa v2 with a convolution over five',
  { conv_kernel_size: 5 },
  { convolution: { taps: 5, act: Math.tanh } },
  6,
);

test.each<[string, Config, string]>([
  ['an even convolution', { conv_kernel_size: 4 }, 'conv_kernel_size is 4'],
  ['a grouped convolution', { conv_kernel_size: 3, conv_groups: 2 }, 'conv_groups is 2'],
  ['a term', { pos_att_type: 'c2p|p2p' }, 'pos_att_type is "c2p|p2p"'],
  ['a norm', { norm_rel_ebd: 'rms' }, 'norm_rel_ebd is "rms"'],
  ['a pooler', { pooler_hidden_size: 32 }, 'pooler_hidden_size is 32'],
  ['heads', { attention_head_size: 8 }, 'attention_head_size is 8'],
  ['buckets', { position_buckets: 15 }, 'position_buckets is 15'],
])('refused by name: %s', (_, change, message) => {
  const wish = { context: null, label: null };
  expect(() => describeEncoder({ ...v3, ...change }, wish)).toThrow(message);
});
