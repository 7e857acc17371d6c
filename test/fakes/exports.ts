/** Model folders as other tools leave them, of tiny random Llamas; gone after the last test of the file. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { TINY, writeRandomLlama, type RandomLlama } from '../support/random_llama.ts';
import { openSources } from '../../src/importer/sources.ts';
import { growingLlama, type GrowingOptions } from './growing_llama.ts';

function freshFolder(): string {
  const root = mkdtempSync(join(tmpdir(), 'coxswain-export-'));
  afterAll(() => rmSync(root, { recursive: true }));
  return root;
}

/** As the model builder of onnxruntime-genai does: no config.json, and no manifest. */
export function genaiFolder(
  weights: 'int8' | 'float32',
  changes: Partial<RandomLlama> = {},
): string {
  const shape = { ...TINY, ...changes };
  const root = freshFolder();
  const [from, to] = [join(root, 'checkpoint'), join(root, 'genai')];
  writeRandomLlama(from, shape);
  importModel({ from, to, role: 'policy', weights, layout: 'genai', created: 0 });
  for (const name of ['manifest.json', 'config.json', 'README.md']) rmSync(join(to, name));
  const config = {
    model: {
      type: 'llama',
      context_length: shape.context,
      eos_token_id: 0,
      vocab_size: shape.vocab,
      decoder: {
        filename: 'model.onnx',
        head_size: shape.hidden / shape.heads,
        num_key_value_heads: shape.kvHeads,
        num_hidden_layers: shape.layers,
      },
    },
    search: { past_present_share_buffer: true },
  };
  writeFileSync(join(to, 'genai_config.json'), JSON.stringify(config));
  return to;
}

/** As Optimum does for transformers.js: the graph in onnx/, the rest as in the checkpoint. */
export function optimumFolder(
  options: GrowingOptions,
  changes: Partial<RandomLlama> = {},
  place = 'onnx/model.onnx',
): string {
  const shape = { ...TINY, ...changes };
  const to = freshFolder();
  writeRandomLlama(to, shape);
  const sources = openSources({ from: to, role: 'policy' });
  mkdirSync(join(to, 'onnx'));
  writeFileSync(join(to, place), growingLlama(sources.weights, shape, options));
  sources[Symbol.dispose]();
  rmSync(join(to, 'model.safetensors'));
  return to;
}
