/** config.json: what changes the computation and is not built is refused by name. */

import { expect, test } from 'vitest';
import { parseLlamaConfig } from '../../../src/importer/config.ts';

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

test('a Llama is read, with the defaults of the format', () => {
  expect(parseLlamaConfig(llama)).toEqual({
    kind: 'language',
    vocab: 320,
    hidden: 64,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    ffn: 96,
    context: 128,
    ropeTheta: 500000,
    epsilon: 1e-5,
    tied: false,
  });
  const { num_key_value_heads: _, rope_theta: __, rms_norm_eps: ___, ...bare } = llama;
  expect(parseLlamaConfig(bare)).toMatchObject({ kvHeads: 4, ropeTheta: 10000, epsilon: 1e-6 });
  const newer = { ...bare, rope_parameters: { rope_type: 'default', rope_theta: 7 } };
  expect(parseLlamaConfig(newer).ropeTheta).toBe(7);
});

test.each([
  ['architectures', ['MistralForCausalLM']],
  ['model_type', 'mistral'],
  ['hidden_act', 'gelu'],
  ['attention_bias', true],
  ['mlp_bias', true],
  ['rope_scaling', { type: 'linear', factor: 2 }],
  ['rope_parameters', { rope_type: 'llama3', rope_theta: 5e5, factor: 8 }],
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
  expect(() => parseLlamaConfig({ ...llama, [name]: value })).toThrow(`config.json: ${name} is`);
});
