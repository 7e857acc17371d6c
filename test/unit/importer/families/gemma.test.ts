/** Gemma 2 with its caps and windows, and Gemma 3 with two ropes, in float64 from their published definitions. */

import {
  add,
  attend,
  frequencies,
  geluTanh,
  headsOf,
  rmsNorm,
  rotate,
  times,
} from './arithmetic.ts';
import { sizeKeys, type Sizes } from './llama_like.ts';
import { provesFamily } from './proof.ts';
import { publish, type Shapes, type Tensors, type Vector } from './published.ts';

const SIZES: Sizes = {
  vocab: 320,
  hidden: 64,
  layers: 3,
  heads: 4,
  kvHeads: 1,
  headDim: 32,
  ffn: 96,
};

function shapes(s: Sizes, headNorm: boolean): Shapes {
  const layer = (name: string): Shapes => ({
    [`${name}.input_layernorm.weight`]: [s.hidden],
    [`${name}.post_attention_layernorm.weight`]: [s.hidden],
    [`${name}.pre_feedforward_layernorm.weight`]: [s.hidden],
    [`${name}.post_feedforward_layernorm.weight`]: [s.hidden],
    [`${name}.self_attn.q_proj.weight`]: [s.heads * s.headDim, s.hidden],
    [`${name}.self_attn.k_proj.weight`]: [s.kvHeads * s.headDim, s.hidden],
    [`${name}.self_attn.v_proj.weight`]: [s.kvHeads * s.headDim, s.hidden],
    [`${name}.self_attn.o_proj.weight`]: [s.hidden, s.heads * s.headDim],
    ...(headNorm
      ? {
          [`${name}.self_attn.q_norm.weight`]: [s.headDim],
          [`${name}.self_attn.k_norm.weight`]: [s.headDim],
        }
      : {}),
    [`${name}.mlp.gate_proj.weight`]: [s.ffn, s.hidden],
    [`${name}.mlp.up_proj.weight`]: [s.ffn, s.hidden],
    [`${name}.mlp.down_proj.weight`]: [s.hidden, s.ffn],
  });
  return {
    'model.embed_tokens.weight': [s.vocab, s.hidden],
    ...Object.assign({}, ...Array.from({ length: s.layers }, (_, i) => layer(`model.layers.${i}`))),
    'model.norm.weight': [s.hidden],
  };
}

interface Definition {
  readonly scale: number;
  readonly attentionCap: number;
  readonly logitCap: number;
  readonly headNorm: boolean;
  readonly window: (layer: number) => number;
  readonly frequencies: (layer: number) => Vector;
}

function logits(t: Tensors, s: Sizes, d: Definition, tokens: readonly number[]): Vector[] {
  const norm = (name: string, x: Vector): Vector =>
    rmsNorm(
      x,
      t.vector(`${name}.weight`).map((gain) => 1 + gain),
      1e-6,
    );
  const linear = (name: string, x: Vector): Vector => times(t.matrix(`${name}.weight`), x);
  const embeddings = t.matrix('model.embed_tokens.weight');
  let xs = tokens.map((token) => embeddings[token]!.map((x) => x * Math.sqrt(s.hidden)));
  for (let l = 0; l < s.layers; l++) {
    const [layer, attention] = [`model.layers.${l}`, `model.layers.${l}.self_attn`];
    const inputs = xs.map((x) => norm(`${layer}.input_layernorm`, x));
    const heads = (part: 'q' | 'k', count: number): Vector[][] =>
      inputs.map((x, position) =>
        headsOf(linear(`${attention}.${part}_proj`, x), count)
          .map((head) => (d.headNorm ? norm(`${attention}.${part}_norm`, head) : head))
          .map((head) => rotate(head, position, d.frequencies(l))),
      );
    const values = inputs.map((x) => headsOf(linear(`${attention}.v_proj`, x), s.kvHeads));
    const attended = attend(heads('q', s.heads), heads('k', s.kvHeads), values, {
      scale: d.scale,
      softcap: d.attentionCap,
      window: d.window(l),
    });
    xs = xs.map((x, i) =>
      add(
        x,
        norm(`${layer}.post_attention_layernorm`, linear(`${attention}.o_proj`, attended[i]!)),
      ),
    );
    xs = xs.map((x) => {
      const y = norm(`${layer}.pre_feedforward_layernorm`, x);
      const up = linear(`${layer}.mlp.up_proj`, y);
      const inner = linear(`${layer}.mlp.gate_proj`, y).map((g, i) => geluTanh(g) * up[i]!);
      return add(
        x,
        norm(`${layer}.post_feedforward_layernorm`, linear(`${layer}.mlp.down_proj`, inner)),
      );
    });
  }
  const cap = d.logitCap;
  return xs.map((x) =>
    times(embeddings, norm('model.norm', x)).map((logit) =>
      cap === 0 ? logit : cap * Math.tanh(logit / cap),
    ),
  );
}

const gemma = {
  attention_bias: false,
  attention_dropout: 0,
  bos_token_id: 2,
  eos_token_id: 1,
  pad_token_id: 0,
  cache_implementation: 'hybrid',
  ...sizeKeys(SIZES),
  head_dim: SIZES.headDim,
  hidden_activation: 'gelu_pytorch_tanh',
  initializer_range: 0.02,
  rms_norm_eps: 1e-6,
  torch_dtype: 'float32',
  transformers_version: '4.42.4',
  use_cache: true,
};

const second = publish(
  {
    ...gemma,
    architectures: ['Gemma2ForCausalLM'],
    model_type: 'gemma2',
    attn_logit_softcapping: 1.5,
    final_logit_softcapping: 2,
    hidden_act: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 24,
    rope_theta: 10000,
    sliding_window: 5,
  },
  shapes(SIZES, false),
);
provesFamily('Gemma 2', second, (tokens) =>
  logits(
    second.tensors,
    SIZES,
    {
      scale: 24 ** -0.5,
      attentionCap: 1.5,
      logitCap: 2,
      headNorm: false,
      window: (layer) => (layer % 2 === 0 ? 5 : Infinity),
      frequencies: () => frequencies(10000, 32),
    },
    tokens,
  ),
);

const third = publish(
  {
    ...gemma,
    architectures: ['Gemma3ForCausalLM'],
    model_type: 'gemma3_text',
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
    query_pre_attn_scalar: 32,
    rope_local_base_freq: 100,
    rope_scaling: { factor: 8, rope_type: 'linear' },
    rope_theta: 1000000,
    sliding_window: 4,
    sliding_window_pattern: 3,
  },
  shapes(SIZES, true),
  2,
);
provesFamily('Gemma 3', third, (tokens) =>
  logits(
    third.tensors,
    SIZES,
    {
      scale: 32 ** -0.5,
      attentionCap: 0,
      logitCap: 0,
      headNorm: true,
      window: (layer) => (layer === 2 ? Infinity : 4),
      frequencies: (layer) =>
        layer === 2 ? frequencies(1000000, 32).map((f) => f / 8) : frequencies(100, 32),
    },
    tokens,
  ),
);
