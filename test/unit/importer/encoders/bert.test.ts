/** BERT, RoBERTa and XLM-RoBERTa with a classification head, in float64 from their published definitions. */

import { expect, test } from 'vitest';
import { describeEncoder } from '../../../../src/importer/encoder/families.ts';
import {
  publish,
  type Config,
  type Published,
  type Shapes,
  type Tensors,
  type Vector,
} from '../families/published.ts';
import { affine, linearShapes, SIZES } from './arithmetic.ts';
import { bertConfig, bertLogits, bertShapes, bodyShapes, states } from './bert_like.ts';
import { provesEncoder, scorer, textOf, type Text } from './proof.ts';

const bert = publish(bertConfig, bertShapes(1));
provesEncoder('BERT', bert, (text) => bertLogits(bert.tensors, text));

const robertaConfig: Config = {
  ...bertConfig,
  architectures: ['RobertaForSequenceClassification'],
  bos_token_id: 0,
  eos_token_id: 2,
  layer_norm_eps: 1e-5,
  model_type: 'roberta',
  pad_token_id: 1,
  problem_type: undefined,
  type_vocab_size: 1,
};
const robertaShapes: Shapes = {
  ...bodyShapes('roberta', 1),
  ...linearShapes('roberta.pooler.dense', SIZES.hidden, SIZES.hidden), // left from pretraining
  ...linearShapes('classifier.dense', SIZES.hidden, SIZES.hidden),
  ...linearShapes('classifier.out_proj', 1, SIZES.hidden),
};
const robertaLogits = (t: Tensors, text: Text): Vector => {
  const [first] = states(t, 'roberta', 2, 1e-5, text);
  return affine(t, 'classifier.out_proj', affine(t, 'classifier.dense', first!).map(Math.tanh));
};

for (const [type, architecture] of [
  ['roberta', 'RobertaForSequenceClassification'],
  ['xlm-roberta', 'XLMRobertaForSequenceClassification'],
] as const) {
  const config = { ...robertaConfig, model_type: type, architectures: [architecture] };
  const published = publish(config, robertaShapes, 7);
  provesEncoder(architecture, published, (text) => robertaLogits(published.tensors, text));
}

test('RoBERTa reads as many tokens as there are positions after the padding`s', () => {
  const config = { ...robertaConfig, max_position_embeddings: 514 };
  expect(describeEncoder(config, { context: null, label: null }).context).toBe(512);
  expect(() => describeEncoder(config, { context: 513, label: null })).toThrow(
    'a context of at most 512 tokens, asked for 513',
  );
});

const TEXTS = [textOf(9, 1), textOf(4, 2)];
const three: Config = { ...bertConfig, id2label: { '0': 'bad', '1': 'fair', '2': 'good' } };
const trio = (config: Config): Published => publish({ ...three, ...config }, bertShapes(3), 5);

test.each([
  ['regression', (logits: Vector, i: number) => logits[i]!],
  ['multi_label_classification', (logits: Vector, i: number) => 1 / (1 + Math.exp(-logits[i]!))],
  [
    'single_label_classification',
    (logits: Vector, i: number) => {
      const p = Math.exp(logits[i]!) / logits.reduce((sum, l) => sum + Math.exp(l), 0);
      return Math.log(p / (1 - p));
    },
  ],
] as const)('of several labels the chosen one is the score: %s', async (problem_type, said) => {
  const published = trio({ problem_type });
  for (const [label, index] of [
    ['good', 2],
    ['0', 0],
  ] as const) {
    const found = await (await scorer(published, 'float32', label))(TEXTS);
    TEXTS.forEach((text, i) =>
      expect(found[i]).toBeCloseTo(said(bertLogits(published.tensors, text), index), 4),
    );
  }
});

test('two labels without names are what a config without labels means', async () => {
  const config = { ...bertConfig, id2label: undefined, problem_type: undefined };
  const published = publish(config, bertShapes(2), 5);
  const [found] = await (await scorer(published, 'float32', 'LABEL_1'))([TEXTS[0]!]);
  const [no, yes] = bertLogits(published.tensors, TEXTS[0]!);
  expect(found).toBeCloseTo(yes! - no!, 4);
});

test.each<[string, Config, string | null, string]>([
  ['labels unsaid', three, null, 'labels 0 (bad), 1 (fair), 2 (good): say with --label'],
  ['a label that is not there', three, 'fine', '--label is fine; the head has labels 0 (bad)'],
  ['an index beyond', three, '3', '--label is 3; the head has labels 0 (bad)'],
  ['labels that disagree', { ...three, num_labels: 2 }, 'bad', 'id2label is'],
  [
    'relative positions',
    { ...bertConfig, position_embedding_type: 'relative_key' },
    null,
    'position_embedding_type is "relative_key"',
  ],
  ['an activation', { ...bertConfig, hidden_act: 'mish' }, null, 'hidden_act is "mish"'],
  ['a decoder', { ...bertConfig, is_decoder: true }, null, 'is_decoder is true'],
  ['an unknown key', { ...bertConfig, use_magic: true }, null, 'use_magic is true'],
  [
    'another head',
    { ...bertConfig, architectures: ['BertForMaskedLM'] },
    null,
    'architectures is ["BertForMaskedLM"]',
  ],
  ['a problem', { ...bertConfig, problem_type: 'ranking' }, null, 'problem_type is "ranking"'],
  ['heads', { ...bertConfig, num_attention_heads: 5 }, null, 'num_attention_heads is 5'],
])('refused by name: %s', (_, config, label, message) => {
  expect(() => describeEncoder(config, { context: null, label })).toThrow(message);
});

test('tensors that are missing, misshapen or without a place are refused by name', async () => {
  const without = (name: string): Shapes =>
    Object.fromEntries(Object.entries(bertShapes(1)).filter(([key]) => key !== name));
  await expect(
    scorer(publish(bertConfig, without('bert.pooler.dense.bias')), 'int8'),
  ).rejects.toThrow('bert.pooler.dense.bias');
  await expect(scorer(publish(bertConfig, bertShapes(2)), 'int8')).rejects.toThrow(
    'tensor classifier.weight is [2, 64]; the config asks for [1, 64]',
  );
  const more = { ...bertShapes(1), 'bert.extra.weight': [2, 2] };
  await expect(scorer(publish(bertConfig, more), 'int8')).rejects.toThrow(
    'tensor bert.extra.weight has no place in a BERT',
  );
});
