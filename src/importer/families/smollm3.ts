/** SmolLM 3: Llama without rotary positions in every fourth layer. SmolLM 1 and 2 are Llama itself. */

import { layerTypes, llamaLike, ropeOf, shapeOf, type Family } from './common.ts';

export const smollm3: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  f.only('use_sliding_window', false);
  f.ignore('sliding_window', 'max_window_layers', 'pretraining_tp'); // without windows these say nothing
  const shape = shapeOf(f, wish);
  const ropes = [ropeOf(f, shape, { theta: 2_000_000 })];
  const every = f.count('no_rope_layer_interval', 4);
  const isFlag = (item: unknown): item is 0 | 1 => item === 0 || item === 1;
  const turns = f.list('no_rope_layers', shape.layers, isFlag); // 1: the layer has rotary positions
  if (layerTypes(f, shape)?.includes('sliding_attention') === true)
    f.refuse('layer_types', 'full_attention in every layer');
  const bias = f.flag('attention_bias', false);
  return llamaLike(f, wish, shape, {
    family: 'SmolLM 3',
    bias: { qkv: bias, out: bias, ffn: f.flag('mlp_bias', false) },
    tied: true,
    ropes,
    layer: (i) => {
      const hasRope = turns === null ? (i + 1) % every !== 0 : turns[i] === 1;
      return { window: null, rope: hasRope ? (ropes[0] ?? null) : null };
    },
  });
};
