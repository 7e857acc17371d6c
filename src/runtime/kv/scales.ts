/** The file that says what one step of int8 is worth in each channel of a decoder's KV. */

import { join } from 'node:path';
import type { KvScales } from '../onnx/int8_kv.ts';
import { readJson } from '../json.ts';
import type { Shape } from '../shape.ts';

export const SCALES_FILE = 'kv_scales.json';

/**
 * The scales of a model's folder.
 * @throws Error that names the file, if it is missing, no JSON, or not of this model
 */
export function readScales(folder: string, { layers, kvHeads, headDim }: Shape): KvScales {
  const path = join(folder, SCALES_FILE);
  const { key, value } = readJson<Partial<KvScales>>(path);
  const channels = kvHeads * headDim;
  for (const part of [key, value])
    if (
      !Array.isArray(part) ||
      part.length !== layers ||
      !part.every((of: unknown) => Array.isArray(of) && of.length === channels && of.every(isScale))
    )
      throw new Error(
        `${path}: key and value must be ${layers} lists of ${channels} numbers above zero each, as its model has layers and channels`,
      );
  return { key: key!, value: value! };
}

const isScale = (x: unknown): boolean => typeof x === 'number' && Number.isFinite(x) && x > 0;
