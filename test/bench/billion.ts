/** A checkpoint of the shape of Llama 3.2 1B: random float32 weights, 4.94 GB in one file. */

import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TINY, writeRandomLlama } from '../support/random_llama.ts';
import { llamaShapes, sizeKeys, type Sizes } from '../unit/importer/families/llama_like.ts';

/** Llama 3.2 1B. */
export const BILLION: Sizes = {
  vocab: 128256,
  hidden: 2048,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  headDim: 64,
  ffn: 8192,
};
export const TENTH: Sizes = {
  ...BILLION,
  vocab: 32064,
  hidden: 1024,
  layers: 6,
  heads: 16,
  ffn: 4096,
};

/** Writes the checkpoint a few megabytes at a time; its weights repeat, which no reader can know. */
export function writeCheckpoint(folder: string, shape: Sizes): number {
  writeRandomLlama(folder, TINY); // for its tokenizer
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configOf(shape)));
  const noise = Float32Array.from({ length: 2 ** 21 + 7 }, () => (Math.random() - 0.5) / 16);
  const bytes = Buffer.from(noise.buffer);
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(llamaShapes(shape, { tied: true })).map(([name, dims]) => {
      const begin = end;
      end += 4 * dims.reduce((product, dim) => product * dim, 1);
      return [name, { dtype: 'F32', shape: dims, data_offsets: [begin, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, Buffer.concat([length, text]));
  for (let left = end; left > 0;) left -= writeSync(file, bytes, 0, Math.min(left, bytes.length));
  closeSync(file);
  return end;
}

const configOf = (shape: Sizes) => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...sizeKeys(shape),
  max_position_embeddings: 131072,
  tie_word_embeddings: true,
});
