/** Qwen 2 and 2.5: biased queries, keys and values, windows in the upper layers. Qwen 3: normalised heads instead of biases. */

import type { Fields } from '../fields.ts';
import type { Layer, Rope } from '../spec.ts';
import {
  layerTypes,
  llamaLike,
  ropeOf,
  shapeOf,
  windowOf,
  type Family,
  type Shape,
} from './common.ts';

export const qwen2: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  f.only('use_mrope', false);
  const shape = shapeOf(f, wish);
  const ropes = [ropeOf(f, shape)];
  return llamaLike(f, wish, shape, {
    family: 'Qwen 2',
    bias: { qkv: true },
    ropes,
    layer: layersOf(f, shape, ropes),
  });
};

export const qwen3: Family = (f, wish) => {
  f.only('hidden_act', 'silu');
  const shape = shapeOf(f, wish);
  const ropes = [ropeOf(f, shape)];
  const bias = f.flag('attention_bias', false);
  return llamaLike(f, wish, shape, {
    family: 'Qwen 3',
    attention: { queryNorm: 'head' },
    bias: { qkv: bias, out: bias },
    ropes,
    layer: layersOf(f, shape, ropes),
  });
};

/** `layer_types` where it is given; else the layers from `max_window_layers` on have the window, if it is used at all. */
function layersOf(
  f: Fields,
  shape: Shape,
  ropes: readonly Rope[],
): (i: number) => Pick<Layer, 'window' | 'rope'> {
  const used = f.flag('use_sliding_window', false);
  const first = used ? f.count('max_window_layers') : 0;
  const window = used ? windowOf(f.count('sliding_window'), shape) : null;
  f.ignore('sliding_window', 'max_window_layers');
  const types = layerTypes(f, shape);
  return (i) => {
    const slides = types === null ? i >= first : types[i] === 'sliding_attention';
    return { window: slides ? window : null, rope: ropes[0] ?? null };
  };
}
