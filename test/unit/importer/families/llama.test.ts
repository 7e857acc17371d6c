/** Llama 2, Llama 3 with its rope scaling, SmolLM, and Mistral with its window. */

import { frequencies } from './arithmetic.ts';
import { llamaLogits, llamaShapes, SIZES, sizeKeys } from './llama_like.ts';
import { provesFamily } from './proof.ts';
import { publish } from './published.ts';

const llama2 = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  initializer_range: 0.02,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  tie_word_embeddings: false,
  torch_dtype: 'float16',
  transformers_version: '4.31.0.dev0',
  use_cache: true,
};

const plain = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };
const first = publish(llama2, llamaShapes(SIZES));
provesFamily('Llama 2', first, llamaLogits(first.tensors, SIZES, plain));

/** Llama 3.1's rule on 16 dims with an original context of 32: some waves are kept, some stretched, some between. */
function llama31(theta: number, dim: number): number[] {
  const [factor, low, high, original] = [8, 1, 4, 32];
  return frequencies(theta, dim).map((f) => {
    const wave = (2 * Math.PI) / f;
    if (wave < original / high) return f;
    if (wave > original / low) return f / factor;
    const smooth = (original / wave - low) / (high - low);
    return ((1 - smooth) * f) / factor + smooth * f;
  });
}

const llama3 = publish(
  {
    ...llama2,
    attention_bias: false,
    mlp_bias: false,
    head_dim: 16,
    rope_theta: 50,
    rope_scaling: {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
      rope_type: 'llama3',
    },
    tie_word_embeddings: true,
  },
  llamaShapes(SIZES, { tied: true }),
  2,
);
provesFamily(
  'Llama 3.1',
  llama3,
  llamaLogits(llama3.tensors, SIZES, {
    epsilon: 1e-5,
    frequencies: llama31(50, 16),
    tied: true,
  }),
);

const biased = publish(
  {
    ...llama2,
    attention_bias: true,
    mlp_bias: true,
    rope_scaling: { type: 'linear', factor: 2.5 },
  },
  llamaShapes(SIZES, { qkvBias: true, outBias: true, ffnBias: true }),
  3,
);
provesFamily(
  'Llama with biases and linear scaling',
  biased,
  llamaLogits(biased.tensors, SIZES, {
    epsilon: 1e-5,
    frequencies: frequencies(10000, 16).map((f) => f / 2.5),
    qkvBias: true,
    outBias: true,
    ffnBias: true,
  }),
);

/** Heads that are together wider than the stream, as in Mistral Nemo, and a window of 5 tokens. */
const wide = { ...SIZES, headDim: 32 };
const mistral = publish(
  {
    architectures: ['MistralForCausalLM'],
    model_type: 'mistral',
    ...sizeKeys(wide),
    attention_dropout: 0,
    head_dim: 32,
    hidden_act: 'silu',
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    sliding_window: 5,
    tie_word_embeddings: false,
  },
  llamaShapes(wide),
  4,
);
provesFamily(
  'Mistral',
  mistral,
  llamaLogits(mistral.tensors, wide, {
    epsilon: 1e-5,
    frequencies: frequencies(10000, 32),
    window: () => 5,
  }),
);
