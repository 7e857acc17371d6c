/** Qwen 2 with windows in its upper layers, Qwen 2.5 with YaRN, Qwen 3. */

import { frequencies } from './arithmetic.ts';
import { llamaLogits, llamaShapes, SIZES, sizeKeys } from './llama_like.ts';
import { provesFamily } from './proof.ts';
import { publish } from './published.ts';

const qwen2 = {
  architectures: ['Qwen2ForCausalLM'],
  attention_dropout: 0,
  bos_token_id: 0,
  eos_token_id: 0,
  model_type: 'qwen2',
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  max_window_layers: 1,
  rms_norm_eps: 1e-6,
  rope_theta: 1000,
  sliding_window: 4,
  tie_word_embeddings: true,
  use_sliding_window: true,
};

const sliding = publish(qwen2, llamaShapes(SIZES, { tied: true, qkvBias: true }));
provesFamily(
  'Qwen 2',
  sliding,
  llamaLogits(sliding.tensors, SIZES, {
    epsilon: 1e-6,
    frequencies: frequencies(1000, 16),
    tied: true,
    qkvBias: true,
    window: (layer) => (layer < 1 ? Infinity : 4),
  }),
);

/** YaRN's paper: dims that turn more than 32 times in the original context are kept, fewer than once are stretched. */
function yarn(theta: number, dim: number, factor: number, original: number): number[] {
  const at = (turns: number) =>
    (dim * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [low, high] = [Math.max(Math.floor(at(32)), 0), Math.min(Math.ceil(at(1)), dim - 1)];
  return frequencies(theta, dim).map((f, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (f / factor) * ramp + f * (1 - ramp);
  });
}

const long = publish(
  {
    ...qwen2,
    use_sliding_window: false,
    tie_word_embeddings: false,
    rope_scaling: { factor: 4, original_max_position_embeddings: 16, type: 'yarn' },
  },
  llamaShapes(SIZES, { qkvBias: true }),
  2,
);
provesFamily(
  'Qwen 2.5 with YaRN',
  long,
  llamaLogits(long.tensors, SIZES, {
    epsilon: 1e-6,
    frequencies: yarn(1000, 16, 4, 16),
    magnitude: 0.1 * Math.log(4) + 1,
    qkvBias: true,
  }),
);

const qwen3 = publish(
  {
    ...qwen2,
    architectures: ['Qwen3ForCausalLM'],
    model_type: 'qwen3',
    attention_bias: false,
    head_dim: 32,
    max_window_layers: 2,
    rope_scaling: null,
    rope_theta: 1000000,
    sliding_window: null,
    use_sliding_window: false,
  },
  llamaShapes({ ...SIZES, headDim: 32 }, { tied: true, headNorm: true }),
  3,
);
provesFamily(
  'Qwen 3',
  qwen3,
  llamaLogits(
    qwen3.tensors,
    { ...SIZES, headDim: 32 },
    {
      epsilon: 1e-6,
      frequencies: frequencies(1000000, 32),
      tied: true,
      headNorm: true,
    },
  ),
);
