/** The same weights run by @huggingface/transformers, in the graph layout it can load. */

import { AutoModelForCausalLM, env, Tensor } from '@huggingface/transformers';
import { basename, dirname } from 'node:path';

/**
 * Tokens per second of a batch that generates greedily: the least work a library can do per token.
 * @param folder a model folder in the genai layout
 */
export async function measurePeer(
  folder: string,
  batch: number,
  promptTokens: number,
  newTokens: number,
  repeats: number,
): Promise<number[]> {
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
    dtype: 'fp32', // means model.onnx as it is: its weights are the 8-bit ones
    device: 'cpu',
    subfolder: '',
    local_files_only: true,
  });
  const ids = BigInt64Array.from({ length: batch * promptTokens }, (_, i) =>
    BigInt(8 + ((i * 37) % 200)),
  );
  const mask = new BigInt64Array(batch * promptTokens).fill(1n);
  const dims = [batch, promptTokens];
  const rates: number[] = [];
  for (let i = 0; i <= repeats; i++) {
    const started = performance.now();
    const output = await model.generate({
      inputs: new Tensor('int64', ids, dims),
      attention_mask: new Tensor('int64', mask, dims),
      max_new_tokens: newTokens,
      min_new_tokens: newTokens,
      do_sample: false,
    });
    const tokens = batch * ((output as Tensor).dims[1]! - promptTokens);
    if (i > 0) rates.push((1000 * tokens) / (performance.now() - started)); // the first run warms up
  }
  await model.dispose();
  return rates;
}
