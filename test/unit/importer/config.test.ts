/** config.json: what changes the computation and is not built is refused by name. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { describe } from '../../../src/importer/families/index.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 320,
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  hidden_act: 'silu',
};

const read = (config: unknown, context: number | null = null) => describe(config, context, null);

test('a Llama is read, with the defaults of the format', () => {
  const spec = read(llama);
  expect(spec).toMatchObject({
    family: 'Llama',
    vocab: 320,
    hidden: 64,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    ffn: { width: 96, activation: 'silu' },
    context: 128,
    norm: { kind: 'rms', epsilon: 1e-5, offset: 0 },
    head: { kind: 'language', tensor: 'lm_head.weight' },
  });
  expect(spec.layers).toHaveLength(2);
  expect(spec.ropes[0]!.frequencies[1]).toBeCloseTo(500000 ** (-1 / 8), 12);
  const { num_key_value_heads: _, rope_theta: __, rms_norm_eps: ___, ...bare } = llama;
  const defaults = read(bare);
  expect(defaults).toMatchObject({ kvHeads: 4, norm: { epsilon: 1e-6 } });
  expect(defaults.ropes[0]!.frequencies[1]).toBeCloseTo(10000 ** (-1 / 8), 12);
  const newer = { ...bare, rope_parameters: { rope_type: 'default', rope_theta: 7 } };
  expect(read(newer).ropes[0]!.frequencies[1]).toBeCloseTo(7 ** (-1 / 8), 12);
});

test('a shorter context can be asked for, a longer one cannot', () => {
  expect(read(llama, 32).context).toBe(32);
  expect(() => read(llama, 256)).toThrow('config.json: max_position_embeddings is 128');
});

test.each([
  ['architectures', ['MistralForCausalLM']],
  ['architectures', undefined],
  ['model_type', 'bloom'],
  ['hidden_act', 'gelu'],
  ['attention_bias', 'yes'],
  ['rope_scaling', 'twice'],
  ['pretraining_tp', 2],
  ['num_labels', 3],
  ['sliding_window', 4096],
  ['quantization_config', { bits: 4 }],
  ['num_key_value_heads', 3],
  ['head_dim', 20],
  ['vocab_size', 1.5],
  ['num_hidden_layers', undefined],
  ['rms_norm_eps', '1e-5'],
])('%s %o is refused by its name', (name, value) => {
  expect(() => read({ ...llama, [name]: value })).toThrow(`config.json: ${name} is`);
});

test.each([
  [{ type: 'dynamic', factor: 2 }, 'rope_scaling: type is "dynamic"'],
  [{ rope_type: 'linear' }, 'rope_scaling: factor is undefined'],
  [{ rope_type: 'linear', factor: 2, truncate: false }, 'rope_scaling: truncate is false'],
  [{ rope_type: 'llama3', factor: 8 }, 'rope_scaling: low_freq_factor is undefined'],
  [{ rope_type: 'yarn', factor: 2, mscale: 1 }, 'rope_scaling: mscale is 1'],
])('rope_scaling %o is refused by the name of its key', (rope_scaling, message) => {
  expect(() => read({ ...llama, rope_scaling })).toThrow(message);
});

test('longrope is imported for texts up to its original context, and no longer', () => {
  const phi = {
    ...llama,
    architectures: ['Phi3ForCausalLM'],
    model_type: 'phi3',
    original_max_position_embeddings: 32,
    rope_scaling: {
      type: 'longrope',
      short_factor: Array(8).fill(2),
      long_factor: Array(8).fill(9),
    },
  };
  expect(read(phi).context).toBe(32);
  expect(read(phi, 16).context).toBe(16);
  expect(() => read(phi, 64)).toThrow('the importer supports --context up to 32');
  const short = { ...phi, rope_scaling: { ...phi.rope_scaling, short_factor: [1] } };
  expect(() => read(short)).toThrow('rope_scaling: short_factor is [1]');
});

test('transformers 5 keeps both ropes of Gemma 3 in one object', () => {
  const gemma = {
    ...llama,
    architectures: ['Gemma3ForCausalLM'],
    model_type: 'gemma3_text',
    hidden_act: undefined,
    head_dim: 16,
    query_pre_attn_scalar: 16,
    sliding_window: 8,
  };
  const older = { ...gemma, rope_theta: 1000, rope_local_base_freq: 100 };
  const newer = {
    ...gemma,
    rope_theta: undefined,
    rope_parameters: {
      full_attention: { rope_type: 'default', rope_theta: 1000 },
      sliding_attention: { rope_type: 'default', rope_theta: 100 },
    },
  };
  expect(read(newer).ropes).toEqual(read(older).ropes);
  const { rope_theta: _, ...without } = newer;
  const half = { rope_parameters: { full_attention: { rope_type: 'default', rope_theta: 1 } } };
  expect(() => read({ ...without, ...half })).toThrow('rope_parameters: sliding_attention is');
});

test.each([
  ['gpt2', { scale_attn_by_inverse_layer_idx: true }, 'scale_attn_by_inverse_layer_idx is true'],
  ['gpt2', { add_cross_attention: true }, 'add_cross_attention is true'],
  ['gpt2', { activation_function: 'relu' }, 'activation_function is "relu"'],
  ['gpt2', { n_head: 3 }, 'n_head is 3'],
])('%s %o is refused', (model_type, more, message) => {
  const gpt2 = { n_embd: 64, n_head: 4, n_layer: 2, n_positions: 64, vocab_size: 320 };
  const config = { ...gpt2, model_type, architectures: ['GPT2LMHeadModel'], ...more };
  expect(() => read(config)).toThrow(`config.json: ${message}`);
});

test.each([
  ['qwen2', 'Qwen2ForCausalLM', { use_mrope: true }, 'use_mrope is true'],
  ['qwen2', 'Qwen2ForCausalLM', { layer_types: ['full_attention'] }, 'layer_types is'],
  ['qwen3', 'Qwen3ForCausalLM', { layer_types: ['full_attention', 'chunked'] }, 'layer_types is'],
  ['mistral', 'MistralForCausalLM', { sliding_window: 'wide' }, 'sliding_window is "wide"'],
  ['gemma2', 'Gemma2ForCausalLM', { query_pre_attn_scalar: 16, sliding_window: 8 }, 'head_dim is'],
  ['gemma3_text', 'Gemma3ForCausalLM', { use_bidirectional_attention: true }, 'use_bidir'],
  ['phi3', 'Phi3ForCausalLM', { lm_head_bias: true }, 'lm_head_bias is true'],
  ['phi3', 'Phi3ForCausalLM', { partial_rotary_factor: 0.7 }, '11 dims of a head'],
  ['olmo2', 'Olmo2ForCausalLM', { clip_qkv: 8 }, 'clip_qkv is 8'],
  ['smollm3', 'SmolLM3ForCausalLM', { no_rope_layers: [1] }, 'no_rope_layers is [1]'],
  ['smollm3', 'SmolLM3ForCausalLM', { use_sliding_window: true }, 'use_sliding_window is true'],
  ['gpt_neox', 'GPTNeoXForCausalLM', { hidden_act: 'relu' }, 'hidden_act is "relu"'],
])('%s: what it does not know is refused', (model_type, architecture, more, message) => {
  const config = { ...llama, model_type, architectures: [architecture], ...more };
  expect(() => read(config)).toThrow(`config.json: ${message}`);
});

test('whatever stands in a config, it is described or refused by name', () => {
  const families = [
    ['llama', 'LlamaForCausalLM'],
    ['mistral', 'MistralForCausalLM'],
    ['qwen2', 'Qwen2ForCausalLM'],
    ['qwen3', 'Qwen3ForCausalLM'],
    ['gemma2', 'Gemma2ForCausalLM'],
    ['gemma3_text', 'Gemma3ForCausalLM'],
    ['phi3', 'Phi3ForCausalLM'],
    ['smollm3', 'SmolLM3ForCausalLM'],
    ['olmo2', 'Olmo2ForCausalLM'],
    ['gpt_neox', 'GPTNeoXForCausalLM'],
    ['gpt2', 'GPT2LMHeadModel'],
  ] as const;
  const good = {
    ...llama,
    hidden_act: undefined,
    rms_norm_eps: undefined,
    head_dim: 16,
    query_pre_attn_scalar: 16,
    sliding_window: 8,
    rope_scaling: { rope_type: 'yarn', factor: 2, original_max_position_embeddings: 64 },
    rope_parameters: undefined,
    layer_types: ['full_attention', 'full_attention'],
    n_embd: 64,
    n_head: 4,
    n_layer: 2,
    n_positions: 64,
  };
  const wild = fc.oneof(fc.jsonValue(), fc.constantFrom(0, -1, 0.5, 2 ** 31, 1e308, '', null));
  const change = fc.tuple(fc.constantFrom(...Object.keys(good)), wild);
  const inner = fc.tuple(fc.constantFrom('rope_type', 'factor', 'short_factor', 'type'), wild);
  fc.assert(
    fc.property(
      fc.constantFrom(...families),
      fc.array(change),
      inner,
      (family, changes, [key, value]) => {
        const [model_type, architecture] = family;
        const config = {
          ...good,
          model_type,
          architectures: [architecture],
          rope_scaling: { ...good.rope_scaling, [key]: value },
          ...Object.fromEntries(changes),
        };
        try {
          expect(read(config).layers.length).toBeLessThanOrEqual(1000);
        } catch (error) {
          expect((error as Error).message).toMatch(/^config\.json/);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
