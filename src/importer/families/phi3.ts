/** Phi 3, 3.5 and 4: Llama with queries, keys and values in one tensor, gate and up in another, and LongRoPE. */

import type { Fields } from '../fields.ts';
import {
  llamaLike,
  partialDim,
  ropeOf,
  shapeOf,
  windowOf,
  type Family,
  type Shape,
} from './common.ts';

export const phi3: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  f.only('attention_bias', false);
  f.only('mlp_bias', false);
  f.only('lm_head_bias', false);
  f.only('full_attn_mod', 1);
  f.only('interpolate_factor', 1);
  f.ignore('embd_pdrop', 'resid_pdrop', 'use_flash_attn');
  const original = originalContext(f);
  const shape = shapeOf(f, { ...wish, context: wish.context ?? original });
  const ropes = [
    ropeOf(f, shape, { dim: partialDim(f, shape, 'partial_rotary_factor'), original }),
  ];
  const window = windowOf(f.has('sliding_window') ? f.count('sliding_window') : null, shape);
  f.ignore('sliding_window');
  return llamaLike(f, wish, shape, {
    family: 'Phi 3',
    ropes,
    layer: () => ({ window, rope: ropes[0] ?? null }),
    projections: (name) => projections(name, shape),
  });
};

/** LongRoPE has other factors beyond this length; null: nothing changes there. */
function originalContext(f: Fields): number | null {
  const original = f.has('original_max_position_embeddings')
    ? f.count('original_max_position_embeddings')
    : null;
  return f.has('rope_scaling') || f.has('rope_parameters') ? original : null;
}

function projections(name: string, { hidden, heads, kvHeads, headDim, ffn }: Shape) {
  const gateUp = (first: number) => ({
    parts: [
      {
        name: `${name}.mlp.gate_up_proj`,
        rows: 2 * ffn,
        ranges: [[first, ffn] as const],
      },
    ],
    inputs: hidden,
    bias: false,
  });
  return {
    qkv: {
      parts: [{ name: `${name}.self_attn.qkv_proj`, rows: (heads + 2 * kvHeads) * headDim }],
      inputs: hidden,
      bias: false,
    },
    gate: gateUp(0),
    up: gateUp(ffn),
  };
}
