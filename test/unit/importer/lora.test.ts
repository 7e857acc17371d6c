/** LoRA adapters in PEFT's layout: merged as they were trained, or refused by what is not understood. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSources, type Asked } from '../../../src/importer/sources.ts';
import {
  Decoder,
  farthest,
  openCheckpoint,
  scores,
  session,
  temporaryFolder,
  tokens,
} from './checkpoint.ts';
import { dot, frequencies } from './families/arithmetic.ts';
import { llamaLogits, llamaShapes, llamaStates, SIZES, sizeKeys } from './families/llama_like.ts';
import {
  publish,
  randomValues,
  safetensors,
  Tensors,
  type Config,
  type Shapes,
} from './families/published.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
};
const shapes = llamaShapes(SIZES);
const base = publish(llama, shapes);
const definition = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };

const settings = {
  alpha_pattern: {},
  auto_mapping: null,
  base_model_name_or_path: 'somebody/base',
  bias: 'none',
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 16,
  lora_dropout: 0.05,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  peft_type: 'LORA',
  r: 8,
  rank_pattern: {},
  revision: null,
  target_modules: ['q_proj', 'v_proj', 'down_proj'],
  task_type: 'CAUSAL_LM',
  use_dora: false,
  use_rslora: false,
};

type Ranks = Readonly<Record<string, number>>;

/** Writes an adapter with a pair for each module, of the ranks given. */
function adapter(config: Config, modules: Ranks, more: Shapes = {}, of: Shapes = shapes) {
  const folder = join(temporaryFolder(), 'adapter');
  mkdirSync(folder);
  const pairs = Object.entries(modules).flatMap(([module, rank]) => {
    const [n = 0, k = 0] = of[`${module}.weight`]!;
    const [outputs, inputs] = config['fan_in_fan_out'] === true ? [k, n] : [n, k];
    return [
      [`base_model.model.${module}.lora_A.weight`, [rank, inputs]],
      [`base_model.model.${module}.lora_B.weight`, [outputs, rank]],
    ] as const;
  });
  const all: Shapes = { ...Object.fromEntries(pairs), ...more };
  const values = randomValues(all, 5);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config));
  writeFileSync(join(folder, 'adapter_model.safetensors'), safetensors(all, values));
  return { folder, tensors: new Tensors(all, values) };
}

/** The base's values with scale * B A added to each module's weight, in float64. */
function mergedByHand(pair: Tensors, scales: Readonly<Record<string, number>>): Tensors {
  const values = Object.keys(shapes).map((name): [string, Float32Array] => {
    const module = name.replace(/\.weight$/, '');
    const scale = scales[module];
    if (scale === undefined) return [name, Float32Array.from(base.tensors.vector(name))];
    const a = pair.matrix(`base_model.model.${module}.lora_A.weight`);
    const b = pair.matrix(`base_model.model.${module}.lora_B.weight`);
    const rows = base.tensors.matrix(name).map((row, o) =>
      row.map(
        (w, i) =>
          w +
          scale *
            dot(
              b[o]!,
              a.map((line) => line[i]!),
            ),
      ),
    );
    return [name, Float32Array.from(rows.flat())];
  });
  return new Tensors(shapes, new Map(values));
}

const modules: Ranks = {
  'model.layers.0.self_attn.q_proj': 8,
  'model.layers.1.self_attn.v_proj': 8,
  'model.layers.1.mlp.down_proj': 8,
};
const everywhere = (scale: number) =>
  Object.fromEntries(Object.keys(modules).map((name) => [name, scale]));

async function logitsOf(asked: Partial<Asked>) {
  const ids = tokens(12);
  const decoder = await Decoder.open(openCheckpoint(base.folder, asked), 'float32');
  return { ids, logits: (await decoder.feed([ids]))[0]! };
}

test.each([
  ['alpha / r', {}, everywhere(2), modules],
  ['alpha / sqrt(r)', { use_rslora: true }, everywhere(16 / Math.sqrt(8)), modules],
  [
    'ranks and alphas of their own',
    { rank_pattern: { v_proj: 2 }, alpha_pattern: { 'mlp.down_proj': 4, 'layers.9.q_proj': 100 } },
    {
      'model.layers.0.self_attn.q_proj': 2,
      'model.layers.1.self_attn.v_proj': 8,
      'model.layers.1.mlp.down_proj': 0.5,
    },
    { ...modules, 'model.layers.1.self_attn.v_proj': 2 },
  ],
] as const)('a pair is added by %s', async (_, changes, scales, ranks) => {
  const { folder, tensors } = adapter({ ...settings, ...changes }, ranks);
  const { ids, logits } = await logitsOf({ adapters: [folder] });
  const expected = llamaLogits(mergedByHand(tensors, scales), SIZES, definition)(ids);
  expect(farthest(logits, expected.at(-1)!)).toBeLessThan(1e-4);
  expect(farthest(logits, (await logitsOf({})).logits)).toBeGreaterThan(0.1);
});

test('a classifier trained with an adapter brings its head', async () => {
  const score = { 'base_model.model.score.weight': [1, SIZES.hidden] };
  const config = { ...settings, task_type: 'SEQ_CLS', modules_to_save: ['classifier', 'score'] };
  const { folder, tensors } = adapter(config, modules, score);
  const checkpoint = openCheckpoint(base.folder, { role: 'reward', adapters: [folder] });
  const model = await session(checkpoint, { weights: 'float32', layout: 'cached' });
  const rows = [tokens(9, 1), tokens(4, 2)];
  const found = await scores(model, checkpoint, rows);
  const byHand = mergedByHand(tensors, everywhere(2));
  const [head] = tensors.matrix('base_model.model.score.weight');
  rows.forEach((row, i) =>
    expect(found[i]).toBeCloseTo(
      dot(llamaStates(byHand, SIZES, definition, row).at(-1)!, head!),
      4,
    ),
  );
  expect(() => openCheckpoint(base.folder, { adapters: [folder] })).toThrow('its role can be');
});

test('weights stored as [inputs, outputs] take the pair the other way round', () => {
  const of: Shapes = { 'transformer.h.0.attn.c_attn.weight': [16, 48] };
  const gpt2 = {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    vocab_size: 320,
    n_embd: 16,
    n_head: 2,
    n_layer: 1,
    n_positions: 16,
  };
  const published = publish(gpt2, of);
  const config = { ...settings, fan_in_fan_out: true, target_modules: ['c_attn'] };
  const { folder, tensors } = adapter(config, { 'transformer.h.0.attn.c_attn': 8 }, {}, of);
  const { weights } = openSources({ from: published.folder, role: 'policy', adapters: [folder] });
  const name = 'transformer.h.0.attn.c_attn.weight';
  const a = tensors.matrix('base_model.model.transformer.h.0.attn.c_attn.lora_A.weight');
  const b = tensors.matrix('base_model.model.transformer.h.0.attn.c_attn.lora_B.weight');
  const expected = published.tensors
    .matrix(name)
    .map((row, i) =>
      row.map((w, o) => w + 2 * a.reduce((sum, line, r) => sum + line[i]! * b[o]![r]!, 0)),
    );
  expect(farthest(weights.read(name), expected.flat())).toBeLessThan(1e-5);
  expect(farthest(weights.read(name, 3, 5), expected.slice(3, 5).flat())).toBeLessThan(1e-5);
  const plain = adapter(settings, { 'transformer.h.0.attn.c_attn': 8 }, {}, of);
  expect(() =>
    openSources({ from: published.folder, role: 'policy', adapters: [plain.folder] }),
  ).toThrow('fan_in_fan_out is false; the base');
});

test.each([
  ['peft_type', 'LOHA'],
  ['use_dora', true],
  ['bias', 'all'],
  ['lora_bias', true],
  ['init_lora_weights', 'pissa'],
  ['loftq_config', { loftq_bits: 4 }],
  ['layer_replication', [[0, 4]]],
  ['target_modules', '.*q_proj'],
  ['target_modules', null],
  ['rank_pattern', { '.*q_proj$': 4 }],
  ['alpha_pattern', { q_proj: 'much' }],
  ['modules_to_save', 'score'],
  ['task_type', 'TOKEN_CLS'],
  ['use_something_new', true],
])('%s %o is refused by its name', (name, value) => {
  const { folder } = adapter({ ...settings, [name]: value }, modules);
  expect(() => openCheckpoint(base.folder, { adapters: [folder] })).toThrow(
    name === 'loftq_config' ? 'loftq_config: loftq_bits is 4' : `adapter_config.json: ${name} is`,
  );
});

test('pairs that do not fit are refused by the name of the tensor', () => {
  const open = (ranks: Ranks, more: Shapes = {}, changes: Config = {}) => {
    const { folder } = adapter({ ...settings, ...changes }, ranks, more);
    return openCheckpoint(base.folder, { adapters: [folder] });
  };
  expect(() => open({ 'model.layers.0.self_attn.q_proj': 4 })).toThrow(
    'q_proj.lora_A.weight is [4, 64]; its rank and the base ask for [8, 64]',
  );
  expect(() => open({ 'model.layers.0.self_attn.k_proj': 8 })).toThrow(
    'k_proj.lora_A.weight is of no module in target_modules',
  );
  const half = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
  expect(() => open({}, { [half]: [8, 64] })).toThrow(`tensor ${half} has no other half`);
  const embedding = 'base_model.model.model.embed_tokens.lora_embedding_A';
  expect(() => open({}, { [embedding]: [8, 320] })).toThrow(
    `tensor ${embedding} is not understood`,
  );
  const head = 'base_model.model.lm_head.weight';
  expect(() => open({}, { [head]: [320, 64] })).toThrow(`tensor ${head} is not understood`);
  expect(() => open({}, { [head]: [320, 64] }, { modules_to_save: ['lm_head'] })).not.toThrow();
  const stray = 'base_model.model.model.layers.7.self_attn.q_proj';
  expect(() =>
    open({}, { [`${stray}.lora_A.weight`]: [8, 64], [`${stray}.lora_B.weight`]: [64, 8] }),
  ).toThrow('no tensor model.layers.7.self_attn.q_proj.weight');
});
