/** SmolLM 3, which leaves positions out of some layers, and OLMo 2, which normalises after its parts. */

import { add, attend, frequencies, headsOf, rmsNorm, rotate, silu, times } from './arithmetic.ts';
import { llamaLogits, llamaShapes, SIZES, sizeKeys, type Sizes } from './llama_like.ts';
import { provesFamily } from './proof.ts';
import { publish, type Shapes, type Tensors, type Vector } from './published.ts';

const four: Sizes = { ...SIZES, layers: 4 };
const smollm3 = publish(
  {
    architectures: ['SmolLM3ForCausalLM'],
    model_type: 'smollm3',
    attention_bias: false,
    attention_dropout: 0,
    ...sizeKeys(four),
    hidden_act: 'silu',
    layer_types: Array.from({ length: 4 }, () => 'full_attention'),
    max_window_layers: 28,
    mlp_bias: false,
    no_rope_layer_interval: 4,
    no_rope_layers: [1, 1, 1, 0],
    pretraining_tp: 2,
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 5000000,
    sliding_window: null,
    use_sliding_window: false,
  },
  llamaShapes(four, { tied: true }),
);
provesFamily(
  'SmolLM 3',
  smollm3,
  llamaLogits(smollm3.tensors, four, {
    epsilon: 1e-6,
    frequencies: frequencies(5000000, 16),
    tied: true,
    rotates: (layer) => layer !== 3,
  }),
);

function olmoShapes(s: Sizes): Shapes {
  const shapes = Object.entries(llamaShapes(s)).filter(
    ([name]) => !name.includes('input_layernorm'),
  );
  const layers = Array.from({ length: s.layers }, (_, i) => ({
    [`model.layers.${i}.self_attn.q_norm.weight`]: [s.heads * s.headDim],
    [`model.layers.${i}.self_attn.k_norm.weight`]: [s.kvHeads * s.headDim],
    [`model.layers.${i}.post_feedforward_layernorm.weight`]: [s.hidden],
  }));
  return Object.assign(Object.fromEntries(shapes), ...layers) as Shapes;
}

function olmoLogits(t: Tensors, s: Sizes, tokens: readonly number[]): Vector[] {
  const norm = (name: string, x: Vector): Vector => rmsNorm(x, t.vector(`${name}.weight`), 1e-6);
  const linear = (name: string, x: Vector): Vector => times(t.matrix(`${name}.weight`), x);
  const turns = frequencies(500000, s.headDim);
  let xs = tokens.map((token) => t.matrix('model.embed_tokens.weight')[token]!);
  for (let l = 0; l < s.layers; l++) {
    const [layer, attention] = [`model.layers.${l}`, `model.layers.${l}.self_attn`];
    const heads = (part: 'q' | 'k', count: number): Vector[][] =>
      xs.map((x, position) =>
        headsOf(
          norm(`${attention}.${part}_norm`, linear(`${attention}.${part}_proj`, x)),
          count,
        ).map((head) => rotate(head, position, turns)),
      );
    const values = xs.map((x) => headsOf(linear(`${attention}.v_proj`, x), s.kvHeads));
    const attended = attend(heads('q', s.heads), heads('k', s.kvHeads), values, {
      scale: s.headDim ** -0.5,
    });
    xs = xs.map((x, i) =>
      add(
        x,
        norm(`${layer}.post_attention_layernorm`, linear(`${attention}.o_proj`, attended[i]!)),
      ),
    );
    xs = xs.map((x) => {
      const up = linear(`${layer}.mlp.up_proj`, x);
      const inner = linear(`${layer}.mlp.gate_proj`, x).map((g, i) => silu(g) * up[i]!);
      return add(
        x,
        norm(`${layer}.post_feedforward_layernorm`, linear(`${layer}.mlp.down_proj`, inner)),
      );
    });
  }
  return xs.map((x) => times(t.matrix('lm_head.weight'), norm('model.norm', x)));
}

const olmo2 = publish(
  {
    architectures: ['Olmo2ForCausalLM'],
    model_type: 'olmo2',
    attention_bias: false,
    attention_dropout: 0,
    ...sizeKeys(SIZES),
    hidden_act: 'silu',
    rms_norm_eps: 1e-6,
    rope_scaling: null,
    rope_theta: 500000,
    tie_word_embeddings: false,
  },
  olmoShapes(SIZES),
);
provesFamily('OLMo 2', olmo2, (tokens) => olmoLogits(olmo2.tensors, SIZES, tokens));
