/** Phi 3 and Phi 4 mini: fused projections, a window, LongRoPE on a part of each head. */

import { frequencies } from './arithmetic.ts';
import { llamaLogits, llamaShapes, SIZES, sizeKeys, type Sizes } from './llama_like.ts';
import { provesFamily } from './proof.ts';
import { publish, Tensors, type Shapes } from './published.ts';

/** The published layout: Llama's, with two projections stored in one tensor each. */
function fused(s: Sizes, tied: boolean): Shapes {
  const kept = Object.entries(llamaShapes(s, { tied })).filter(
    ([name]) => !/(q|k|v|gate|up)_proj/.test(name),
  );
  const layers = Array.from({ length: s.layers }, (_, i) => ({
    [`model.layers.${i}.self_attn.qkv_proj.weight`]: [
      (s.heads + 2 * s.kvHeads) * s.headDim,
      s.hidden,
    ],
    [`model.layers.${i}.mlp.gate_up_proj.weight`]: [2 * s.ffn, s.hidden],
  }));
  return Object.assign(Object.fromEntries(kept), ...layers) as Shapes;
}

/** The same values under Llama's names: rows of queries, keys, values; rows of gate, then up. */
function unfused(t: Tensors, s: Sizes, tied: boolean): Tensors {
  const shapes = llamaShapes(s, { tied });
  const q = s.heads * s.headDim;
  const kv = s.kvHeads * s.headDim;
  const rowsIn: Readonly<Record<string, readonly [string, number, number]>> = {
    q_proj: ['qkv_proj', 0, q],
    k_proj: ['qkv_proj', q, q + kv],
    v_proj: ['qkv_proj', q + kv, q + 2 * kv],
    gate_proj: ['gate_up_proj', 0, s.ffn],
    up_proj: ['gate_up_proj', s.ffn, 2 * s.ffn],
  };
  const values = Object.keys(shapes).map((name): [string, Float32Array] => {
    const part = /\.(\w+_proj)\.weight$/.exec(name)?.[1] ?? '';
    const found = rowsIn[part];
    if (!found) return [name, Float32Array.from(t.vector(name))];
    const [from, first, last] = found;
    const rows = t.matrix(name.replace(part, from)).slice(first, last);
    return [name, Float32Array.from(rows.flat())];
  });
  return new Tensors(shapes, new Map(values));
}

const phi = {
  architectures: ['Phi3ForCausalLM'],
  model_type: 'phi3',
  attention_bias: false,
  attention_dropout: 0,
  auto_map: { AutoConfig: 'configuration_phi3.Phi3Config' },
  embd_pdrop: 0,
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  original_max_position_embeddings: 64,
  resid_pdrop: 0,
  rms_norm_eps: 1e-5,
  rope_scaling: null,
  rope_theta: 10000,
  sliding_window: 6,
  tie_word_embeddings: false,
};

const mini = publish(phi, fused(SIZES, false));
provesFamily(
  'Phi 3',
  mini,
  llamaLogits(unfused(mini.tensors, SIZES, false), SIZES, {
    epsilon: 1e-5,
    frequencies: frequencies(10000, 16),
    window: () => 6,
  }),
);

const wide: Sizes = { ...SIZES, heads: 2, kvHeads: 1, headDim: 32 };
const short = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5];
const phi4 = publish(
  {
    ...phi,
    ...sizeKeys(wide),
    full_attn_mod: 1,
    interpolate_factor: 1,
    lm_head_bias: false,
    mlp_bias: false,
    max_position_embeddings: 1024,
    original_max_position_embeddings: 64,
    partial_rotary_factor: 0.5,
    rope_scaling: { long_factor: short.map((f) => 10 * f), short_factor: short, type: 'longrope' },
    sliding_window: 262144,
    tie_word_embeddings: true,
  },
  fused(wide, true),
  2,
);
provesFamily(
  'Phi 4 mini',
  phi4,
  llamaLogits(unfused(phi4.tensors, wide, true), wide, {
    epsilon: 1e-5,
    frequencies: frequencies(10000, 16).map((f, i) => f / short[i]!),
    magnitude: Math.sqrt(1 + Math.log(1024 / 64) / Math.log(64)),
    tied: true,
  }),
);
