/** Llama 2 and 3, SmolLM, and Mistral, which adds a window. */

import { llamaLike, shapeOf, windowOf, ropeOf, type Family } from './common.ts';

export const llama: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  f.only('pretraining_tp', 1);
  const attention = f.flag('attention_bias', false);
  return llamaLike(f, wish, shapeOf(f, wish), {
    family: 'Llama',
    bias: { qkv: attention, out: attention, ffn: f.flag('mlp_bias', false) },
  });
};

export const mistral: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  const shape = shapeOf(f, wish);
  const ropes = [ropeOf(f, shape)];
  const window = f.has('sliding_window')
    ? f.count('sliding_window')
    : (f.only('sliding_window'), null);
  return llamaLike(f, wish, shape, {
    family: 'Mistral',
    ropes,
    layer: () => ({ window: windowOf(window, shape), rope: ropes[0] ?? null }),
  });
};
