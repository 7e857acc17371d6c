/** Model folders as other tools leave them, of tiny random Llamas; gone after the last test of the file. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { TINY, writeRandomLlama, type RandomLlama } from '../support/random_llama.ts';
import { openSources } from '../../src/importer/sources.ts';
import { graph, type Value } from '../../src/runtime/onnx/graph.ts';
import { mulberry } from '../support/mulberry.ts';
import { growingLlama, type GrowingOptions } from './growing_llama.ts';
import { merged } from './merged.ts';
import type { TokenizerFiles } from './tokenizers.ts';

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

/** As Optimum does for transformers.js: the graph in onnx/, the rest as in the checkpoint. @param twice as older ones did: two graphs merged */
export function optimumFolder(
  options: GrowingOptions,
  changes: Partial<RandomLlama> = {},
  place = 'onnx/model.onnx',
  twice = false,
): string {
  const shape = { ...TINY, ...changes };
  const to = freshFolder();
  writeRandomLlama(to, shape);
  const sources = openSources({ from: to, role: 'policy' });
  mkdirSync(join(to, 'onnx'));
  const make = (more: Partial<GrowingOptions> = {}): Uint8Array =>
    growingLlama(sources.weights, shape, { ...options, ...more });
  const graph = twice ? merged(make({ branch: 'step' }), make({ branch: 'first' })) : make();
  writeFileSync(join(to, place), graph);
  sources[Symbol.dispose]();
  rmSync(join(to, 'model.safetensors'));
  return to;
}

/** One layer of attention over embeddings, in halves: as a model builder's float16 graph keeps its KV. */
export function halvesFolder(): string {
  const [heads, dim, vocab] = [2, 16, 320];
  const width = heads * dim;
  const g = graph('halves');
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const random = mulberry(7);
  const table = Float32Array.from({ length: vocab * width }, () => 2 * random() - 1);
  const embedding = g.initializer('embedding', [vocab, width], table);
  const states = g.node('Gather', [embedding, ids], { axis: 0 });
  const halves = g.node('Cast', [states], { to: 10 });
  const int32 = (value: Value): Value => g.node('Cast', [value], { to: 6 });
  const seen = g.node('ReduceSum', [mask, g.ints(1)], { keepdims: 0 });
  const total = g.node('Gather', [g.node('Shape', [mask]), g.scalar(1, 'int64')], { axis: 0 });
  const dims = ['batch_size', heads, 'length', dim];
  const [keys, values] = ['key', 'value'].map((part) =>
    g.input(`past_key_values.0.${part}`, 'float16', dims),
  );
  const held = int32(g.node('Sub', [seen, g.ints(1)]));
  const [attended, key, value] = g.nodes(
    'com.microsoft.GroupQueryAttention',
    [halves, halves, halves, keys!, values!, held, int32(total)],
    ['attended', 'key', 'value'],
    { num_heads: heads, kv_num_heads: heads },
  );
  g.output('present.0.key', key, 'float16', dims);
  g.output('present.0.value', value, 'float16', dims);
  const floats = g.node('Cast', [attended], { to: 1 });
  const turned = g.node('Transpose', [embedding], { perm: [1, 0] });
  const logits = ['batch_size', 'sequence_length', vocab];
  g.output('logits', g.node('MatMul', [floats, turned]), 'float32', logits);
  const to = freshFolder();
  writeRandomLlama(to, { ...TINY, layers: 1 });
  rmSync(join(to, 'model.safetensors'));
  writeFileSync(join(to, 'model_fp16.onnx'), g.bytes());
  return to;
}

export interface ClassifierFake {
  readonly labels: number;
  readonly files: TokenizerFiles;
  readonly config?: object;
  readonly halves?: boolean;
  /** Inputs of the graph beside ids and mask. */
  readonly more?: readonly string[];
}

/** What each token adds to the logit of each label; a token of the second text counts twice. */
export const tokenSays = (id: number, label: number): number =>
  Math.fround(Math.sin(7 * id + label));

/** A classification head as Optimum exports it: `logits` [texts, labels], here a sum over the text's tokens. */
export function classifierFolder({
  labels,
  files,
  config = {},
  halves = false,
  more = [],
}: ClassifierFake): string {
  const vocab = 400;
  const g = graph('classifier');
  const input = (name: string): Value => g.input(name, 'int64', ['batch_size', 'sequence_length']);
  const float = (value: Value): Value =>
    g.node('Unsqueeze', [g.node('Cast', [value], { to: 1 }), g.ints(2)]);
  const says = Float32Array.from({ length: vocab * labels }, (_, i) =>
    tokenSays(Math.floor(i / labels), i % labels),
  );
  const table = g.initializer('table', [vocab, labels], says);
  const looked = g.node('Gather', [table, input('input_ids')], { axis: 0 });
  let counted = g.node('Mul', [looked, float(input('attention_mask'))]);
  for (const name of more) {
    const twice = g.node('Add', [float(input(name)), g.scalar(1)]);
    counted = g.node('Mul', [counted, twice]);
  }
  const logits = g.node('ReduceSum', [counted, g.ints(1)], { keepdims: 0 });
  const said = halves ? g.node('Cast', [logits], { to: 10 }) : logits;
  g.output('logits', said, halves ? 'float16' : 'float32', ['batch_size', labels]);
  const to = freshFolder();
  mkdirSync(join(to, 'onnx'));
  writeFileSync(join(to, 'onnx', 'model_quantized.onnx'), g.bytes());
  const json = (name: string, value: unknown): void =>
    writeFileSync(join(to, name), JSON.stringify(value));
  json('config.json', { vocab_size: vocab, max_position_embeddings: 64, ...config });
  json('tokenizer.json', files.tokenizer);
  json('tokenizer_config.json', { ...files.config, model_max_length: 60 });
  return to;
}
