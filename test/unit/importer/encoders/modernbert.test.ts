/** ModernBERT with a classification head, in float64 from the published definition. */

import { expect, test } from 'vitest';
import { describeEncoder } from '../../../../src/importer/encoder/families.ts';
import {
  add,
  dot,
  frequencies,
  gelu,
  headsOf,
  layerNorm,
  rotate,
  times,
} from '../families/arithmetic.ts';
import {
  publish,
  type Config,
  type Shapes,
  type Tensors,
  type Vector,
} from '../families/published.ts';
import { affine, attendAll, linearShapes, perLayer, SIZES } from './arithmetic.ts';
import { provesEncoder, type Text } from './proof.ts';

const { hidden, ffn, heads, dim } = SIZES;
const EPSILON = 1e-5;
const WINDOW = 8;

/** What is published, but for the sizes; `layer_norm_eps` and `position_embedding_type` are there, and unused. */
const base: Config = {
  architectures: ['ModernBertForSequenceClassification'],
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 1,
  classifier_activation: 'gelu',
  classifier_bias: false,
  classifier_dropout: 0,
  classifier_pooling: 'mean',
  cls_token_id: 1,
  decoder_bias: true,
  deterministic_flash_attn: false,
  embedding_dropout: 0,
  eos_token_id: 2,
  global_attn_every_n_layers: 3,
  global_rope_theta: 160000,
  gradient_checkpointing: false,
  hidden_activation: 'gelu',
  hidden_size: hidden,
  id2label: { '0': 'LABEL_0' },
  initializer_cutoff_factor: 2,
  initializer_range: 0.02,
  intermediate_size: ffn,
  layer_norm_eps: 1e-5,
  local_attention: WINDOW,
  local_rope_theta: 10000,
  max_position_embeddings: 64,
  mlp_bias: false,
  mlp_dropout: 0,
  model_type: 'modernbert',
  norm_bias: false,
  norm_eps: EPSILON,
  num_attention_heads: heads,
  num_hidden_layers: SIZES.layers,
  pad_token_id: 0,
  position_embedding_type: 'absolute',
  repad_logits_with_grad: false,
  sep_token_id: 2,
  sparse_pred_ignore_index: -100,
  sparse_prediction: false,
  torch_dtype: 'float32',
  vocab_size: SIZES.vocab,
};

const shapes: Shapes = {
  'model.embeddings.tok_embeddings.weight': [SIZES.vocab, hidden],
  'model.embeddings.norm.weight': [hidden],
  ...perLayer((i) => ({
    ...(i === 0 ? {} : { [`model.layers.${i}.attn_norm.weight`]: [hidden] }),
    [`model.layers.${i}.attn.Wqkv.weight`]: [3 * hidden, hidden],
    [`model.layers.${i}.attn.Wo.weight`]: [hidden, hidden],
    [`model.layers.${i}.mlp_norm.weight`]: [hidden],
    [`model.layers.${i}.mlp.Wi.weight`]: [2 * ffn, hidden],
    [`model.layers.${i}.mlp.Wo.weight`]: [hidden, ffn],
  })),
  'model.final_norm.weight': [hidden],
  'head.dense.weight': [hidden, hidden],
  'head.norm.weight': [hidden],
  ...linearShapes('classifier', 1, hidden),
};

interface Variant {
  readonly pooling: 'cls' | 'mean';
  readonly slides: (layer: number) => boolean;
  readonly thetas: readonly [global: number, local: number];
}

const NO_BIAS = Array.from({ length: hidden }, () => 0);

function logits(t: Tensors, { pooling, slides, thetas }: Variant, { ids }: Text): Vector {
  const norm = (name: string, x: Vector): Vector =>
    layerNorm(x, t.vector(`${name}.weight`), NO_BIAS, EPSILON);
  const dense = (name: string, x: Vector): Vector => times(t.matrix(`${name}.weight`), x);
  let xs = ids.map((id) =>
    norm('model.embeddings.norm', t.matrix('model.embeddings.tok_embeddings.weight')[id]!),
  );
  for (let l = 0; l < SIZES.layers; l++) {
    const layer = `model.layers.${l}`;
    const turns = frequencies(thetas[slides(l) ? 1 : 0], dim);
    const qkv = xs.map((x) =>
      dense(`${layer}.attn.Wqkv`, l === 0 ? x : norm(`${layer}.attn_norm`, x)),
    );
    const part = (n: number): Vector[][] =>
      qkv.map((all, i) =>
        headsOf(all.slice(n * hidden, (n + 1) * hidden), heads).map((head) =>
          n === 2 ? head : rotate(head, i, turns),
        ),
      );
    const [q, k] = [part(0), part(1)];
    const attended = attendAll(part(2), heads, (h, i, j) =>
      slides(l) && Math.abs(i - j) > WINDOW / 2
        ? -Infinity
        : dot(q[i]![h]!, k[j]![h]!) / Math.sqrt(dim),
    );
    xs = xs.map((x, i) => add(x, dense(`${layer}.attn.Wo`, attended[i]!)));
    xs = xs.map((x) => {
      const both = dense(`${layer}.mlp.Wi`, norm(`${layer}.mlp_norm`, x));
      const inner = both.slice(0, ffn).map((value, i) => gelu(value) * both[ffn + i]!);
      return add(x, dense(`${layer}.mlp.Wo`, inner));
    });
  }
  xs = xs.map((x) => norm('model.final_norm', x));
  const mean = xs.reduce((sum, x) => add(sum, x)).map((value) => value / xs.length);
  const pooled = pooling === 'cls' ? xs[0]! : mean;
  return affine(t, 'classifier', norm('head.norm', dense('head.dense', pooled).map(gelu)));
}

function proves(name: string, config: Config, variant: Variant, seed: number): void {
  const published = publish({ ...base, ...config }, shapes, seed);
  provesEncoder(name, published, (text) => logits(published.tensors, variant, text));
}

const every3 = (layer: number): boolean => layer % 3 !== 0;
proves('ModernBERT', {}, { pooling: 'mean', slides: every3, thetas: [160000, 10000] }, 1);
proves(
  'ModernBERT, as newer configs say it',
  {
    classifier_pooling: 'cls',
    layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
    global_rope_theta: undefined,
    local_rope_theta: undefined,
    rope_parameters: {
      full_attention: { rope_type: 'default', rope_theta: 80000 },
      sliding_attention: { rope_type: 'default', rope_theta: 5000 },
    },
  },
  { pooling: 'cls', slides: (layer) => layer !== 1, thetas: [80000, 5000] },
  2,
);

test.each<[string, Config, string]>([
  ['a pooling', { classifier_pooling: 'max' }, 'classifier_pooling is "max"'],
  ['an activation', { hidden_activation: 'relu6' }, 'hidden_activation is "relu6"'],
  ['a kind of layer', { layer_types: ['full_attention', 'x', 'x'] }, 'layer_types is'],
  ['a key', { n_experts: 4 }, 'n_experts is 4'],
])('refused by name: %s', (_, change, message) => {
  const wish = { context: null, label: null };
  expect(() => describeEncoder({ ...base, ...change }, wish)).toThrow(message);
});
