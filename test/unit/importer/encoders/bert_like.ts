/** The body of BERT and RoBERTa and BERT's head in float64, and the tensors of their published layout. */

import { add } from '../families/arithmetic.ts';
import type { Config, Shapes, Tensors, Vector } from '../families/published.ts';
import {
  affine,
  attendAll,
  bertLayer,
  bertLayerShapes,
  linearShapes,
  normed,
  normShapes,
  perLayer,
  scaledDot,
  SIZES,
} from './arithmetic.ts';
import type { Text } from './proof.ts';

export const CONTEXT = 64;
const QKV = ['query', 'key', 'value'] as const;
const EPSILON = 1e-12;

export const bertConfig: Config = {
  architectures: ['BertForSequenceClassification'],
  attention_probs_dropout_prob: 0.1,
  classifier_dropout: null,
  gradient_checkpointing: false,
  hidden_act: 'gelu',
  hidden_dropout_prob: 0.1,
  hidden_size: SIZES.hidden,
  id2label: { '0': 'LABEL_0' },
  initializer_range: 0.02,
  intermediate_size: SIZES.ffn,
  label2id: { LABEL_0: 0 },
  layer_norm_eps: EPSILON,
  max_position_embeddings: CONTEXT,
  model_type: 'bert',
  num_attention_heads: SIZES.heads,
  num_hidden_layers: SIZES.layers,
  pad_token_id: 0,
  position_embedding_type: 'absolute',
  problem_type: 'regression',
  torch_dtype: 'float32',
  transformers_version: '4.30.0',
  type_vocab_size: 2,
  use_cache: true,
  vocab_size: SIZES.vocab,
};

export const bodyShapes = (body: string, types: number, context = CONTEXT): Shapes => ({
  [`${body}.embeddings.word_embeddings.weight`]: [SIZES.vocab, SIZES.hidden],
  [`${body}.embeddings.position_embeddings.weight`]: [context, SIZES.hidden],
  [`${body}.embeddings.token_type_embeddings.weight`]: [types, SIZES.hidden],
  ...normShapes(`${body}.embeddings.LayerNorm`),
  ...perLayer((i) => bertLayerShapes(`${body}.encoder.layer.${i}`, QKV)),
});

export const bertShapes = (labels: number, context = CONTEXT): Shapes => ({
  ...bodyShapes('bert', 2, context),
  'bert.embeddings.position_ids': [1, context],
  ...linearShapes('bert.pooler.dense', SIZES.hidden, SIZES.hidden),
  ...linearShapes('classifier', labels, SIZES.hidden),
});

/** @param first the row of the first token's position */
export function states(
  t: Tensors,
  body: string,
  first: number,
  epsilon: number,
  { ids, types }: Text,
): Vector[] {
  const table = (name: string): Vector[] => t.matrix(`${body}.embeddings.${name}.weight`);
  const rows = table('token_type_embeddings').length;
  const embedded = ids.map((id, i) => {
    const place = table('position_embeddings')[first + i]!;
    const type = table('token_type_embeddings')[Math.min(types[i]!, rows - 1)]!;
    return add(add(table('word_embeddings')[id]!, place), type);
  });
  let xs = embedded.map((x) => normed(t, `${body}.embeddings.LayerNorm`, x, epsilon));
  for (let l = 0; l < SIZES.layers; l++)
    xs = bertLayer(t, `${body}.encoder.layer.${l}`, xs, epsilon, QKV, (q, k, v) =>
      attendAll(v, SIZES.heads, scaledDot(q, k)),
    );
  return xs;
}

export const bertLogits = (t: Tensors, text: Text): Vector => {
  const [first] = states(t, 'bert', 0, EPSILON, text);
  return affine(t, 'classifier', affine(t, 'bert.pooler.dense', first!).map(Math.tanh));
};
