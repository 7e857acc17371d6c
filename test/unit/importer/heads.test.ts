/** Heads that end in one number: classification heads of the families, and TRL's value head. */

import { expect, test } from 'vitest';
import { importModel } from '../../../src/importer/import.ts';
import { Decoder, openCheckpoint, temporaryFolder, tokens } from './checkpoint.ts';
import { dot, frequencies } from './families/arithmetic.ts';
import { llamaShapes, llamaStates, SIZES, sizeKeys } from './families/llama_like.ts';
import { publish, type Config, type Shapes } from './families/published.ts';

const llama: Config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
};
const definition = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };

const valued = publish(llama, {
  ...llamaShapes(SIZES),
  'v_head.summary.weight': [1, SIZES.hidden],
  'v_head.summary.bias': [1],
});

test.each(['reward', 'value'] as const)(
  'a value head is read for the role %s, in whole texts and over the cache',
  async (role) => {
    const [weight] = valued.tensors.matrix('v_head.summary.weight');
    const [bias] = valued.tensors.vector('v_head.summary.bias');
    const expected = (row: readonly number[]): number =>
      dot(llamaStates(valued.tensors, SIZES, definition, row).at(-1)!, weight!) + bias!;
    const decoder = await Decoder.open(openCheckpoint(valued.folder, { role }), 'float32');
    const rows = [tokens(9, 1), tokens(4, 2)];
    const whole = await decoder.read('score', rows);
    rows.forEach((row, i) => expect(whole[i]![0]).toBeCloseTo(expected(row), 4));
    const stepped = await decoder.read('score', [[7], [8]]);
    rows.forEach((row, i) => expect(stepped[i]![0]).toBeCloseTo(expected([...row, 7 + i]), 4));
  },
);

test('the policy under a value head is a language model, and has no other role without one', () => {
  expect(openCheckpoint(valued.folder).spec.head.kind).toBe('language');
  const plain = publish(llama, llamaShapes(SIZES));
  expect(() => openCheckpoint(plain.folder, { role: 'value' })).toThrow(
    'has no scalar head: its role cannot be value',
  );
  expect(openCheckpoint(plain.folder, { role: 'reward' }).spec.head.kind).toBe('language');
});

test('a value model says so in its manifest, and that it reads beginnings', () => {
  const to = `${temporaryFolder()}/value`;
  const manifest = importModel({ from: valued.folder, to, role: 'value', created: 1 });
  expect(manifest).toMatchObject({ role: 'value', head: 'scalar', reads: 'prefix' });
});

const gpt2: Config = {
  architectures: ['GPT2LMHeadModel'],
  model_type: 'gpt2',
  vocab_size: 320,
  n_embd: 64,
  n_head: 4,
  n_layer: 1,
  n_positions: 64,
};
const block = (name: string, parts: Readonly<Record<string, readonly number[]>>): Shapes =>
  Object.fromEntries(
    Object.entries(parts).flatMap(([part, weight]) => [
      [`${name}.${part}.weight`, weight],
      [`${name}.${part}.bias`, [name.startsWith('gpt_neox') ? weight[0]! : weight.at(-1)!]],
    ]),
  );
const gpt2Shapes: Shapes = {
  'transformer.wte.weight': [320, 64],
  'transformer.wpe.weight': [64, 64],
  ...block('transformer.h.0', {
    ln_1: [64],
    'attn.c_attn': [64, 192],
    'attn.c_proj': [64, 64],
    ln_2: [64],
    'mlp.c_fc': [64, 256],
    'mlp.c_proj': [256, 64],
  }),
  ...block('transformer', { ln_f: [64] }),
};
const neox: Config = {
  architectures: ['GPTNeoXForCausalLM'],
  model_type: 'gpt_neox',
  vocab_size: 320,
  hidden_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 96,
  max_position_embeddings: 64,
};
const neoxShapes: Shapes = {
  'gpt_neox.embed_in.weight': [320, 64],
  ...block('gpt_neox.layers.0', {
    input_layernorm: [64],
    post_attention_layernorm: [64],
    'attention.query_key_value': [192, 64],
    'attention.dense': [64, 64],
    'mlp.dense_h_to_4h': [96, 64],
    'mlp.dense_4h_to_h': [64, 96],
  }),
  ...block('gpt_neox', { final_layer_norm: [64] }),
};
const qwen: Config = { ...llama, architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
const qwenShapes = llamaShapes(SIZES, { qkvBias: true });

test.each([
  ['LlamaForSequenceClassification', llama, llamaShapes(SIZES), 'lm_head.weight'],
  ['Qwen2ForSequenceClassification', qwen, qwenShapes, 'lm_head.weight'],
  ['GPT2ForSequenceClassification', gpt2, gpt2Shapes, ''],
  ['GPTNeoXForSequenceClassification', neox, neoxShapes, 'embed_out.weight'],
] as const)(
  '%s is the body of the language model and a row on its last state',
  async (name, config, shapes, projection) => {
    const rows = [tokens(9, 1), tokens(4, 2)];
    const body = Object.fromEntries(
      Object.entries(shapes).filter(([tensor]) => tensor !== projection),
    );
    const language = projection === '' ? body : { ...body, [projection]: [320, 64] };
    // Equal seeds and the same first tensors: the bodies are the same.
    const speaks = openCheckpoint(publish(config, language).folder);
    const judge = publish(
      { ...config, architectures: [name] },
      { ...body, 'score.weight': [1, 64] },
    );
    const judges = openCheckpoint(judge.folder, { role: 'reward' });
    const states = await (
      await Decoder.open(speaks, 'float32', { hiddenStates: true })
    ).read('hidden_states', rows);
    const found = await (await Decoder.open(judges, 'float32')).read('score', rows);
    const [weight] = judge.tensors.matrix('score.weight');
    rows.forEach((_, i) => expect(found[i]![0]).toBeCloseTo(dot([...states[i]!], weight!), 4));
    const two = publish({ ...config, architectures: [name] }, { ...body, 'score.weight': [2, 64] });
    await expect(
      Decoder.open(openCheckpoint(two.folder, { role: 'reward' }), 'int8'),
    ).rejects.toThrow('tensor score.weight is [2, 64]; the config asks for [1, 64]');
  },
);
