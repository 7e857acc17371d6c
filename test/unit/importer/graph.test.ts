/** Graphs against themselves: in batches and steps, by weight format, and what is stored in them. */

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { buildDecoder } from '../../../src/importer/decoder.ts';
import { describe } from '../../../src/importer/families/index.ts';
import type { TensorSource } from '../../../src/importer/safetensors.ts';
import {
  Decoder,
  farthest,
  genaiLogits,
  randomCheckpoint,
  temporaryFolder,
  tokens,
} from './checkpoint.ts';
import { readConfig } from './families/published.ts';

const tied = randomCheckpoint();
const untied = randomCheckpoint({ tied: false, seed: 2, heads: 2, kvHeads: 1, layers: 1 });
/** Its feed-forward width is no multiple of a block. */
const ragged = randomCheckpoint({ ffn: 100, layers: 1, seed: 3 });

test.each(['float32', 'int8'] as const)(
  '%s: a row has the same bits alone, in a batch, and prefilled in chunks',
  async (weights) => {
    const prompts = [tokens(9, 1), tokens(3, 2), tokens(14, 5), tokens(14, 6)];
    const together = await Decoder.open(tied, weights);
    const prefilled = await together.feed(prompts);
    const stepped = await together.feed(prompts.map(() => [7]));
    for (const [i, prompt] of prompts.entries()) {
      const alone = await Decoder.open(tied, weights);
      expect(farthest((await alone.feed([prompt]))[0]!, prefilled[i]!)).toBe(0);
      expect(farthest((await alone.feed([[7]]))[0]!, stepped[i]!)).toBe(0);
    }
    const chunked = await Decoder.open(tied, weights);
    await chunked.feed([prompts[2]!.slice(0, 6)]);
    expect(farthest((await chunked.feed([prompts[2]!.slice(6)]))[0]!, prefilled[2]!)).toBe(0);
  },
);

test.each([
  ['float16', 0.001],
  ['int8', 0.05],
  ['int4', 0.5],
] as const)(
  '%s stays close to float32: tied and separate embeddings, a width of no whole blocks',
  async (weights, share) => {
    for (const checkpoint of [tied, untied, ragged]) {
      const prompts = [tokens(20, 4), tokens(5, 8)];
      const [exact, close] = [
        await (await Decoder.open(checkpoint, 'float32')).feed(prompts),
        await (await Decoder.open(checkpoint, weights)).feed(prompts),
      ];
      const spread = Math.max(...exact[0]!.map(Math.abs));
      exact.forEach((row, i) => expect(farthest(row, close[i]!)).toBeLessThan(spread * share));
    }
  },
);

test('tied embeddings are in the file once', () => {
  const { spec, source } = randomCheckpoint({ vocab: 4096, ffn: 64, layers: 1, context: 16 });
  const values = source.names.reduce((sum, name) => sum + source.read(name).length, 0);
  const bytes = (weights: 'float32' | 'float16' | 'int8'): number =>
    buildDecoder(spec, source, { weights, layout: 'cached' }).bytes().length / values;
  expect(bytes('float32') / 4).toBeLessThan(1.05);
  expect(bytes('float16') / 2).toBeLessThan(1.05);
  expect(bytes('int8') / 1.125).toBeLessThan(1.05);
});

test('hidden states are given where logits are, and are what these are made of', async () => {
  const rows = [tokens(9, 1), tokens(4, 2)];
  const decoder = await Decoder.open(tied, 'float32', { hiddenStates: true });
  const states = await decoder.read('hidden_states', rows);
  decoder.reset();
  const logits = await decoder.feed(rows);
  const embeddings = tied.source.read('model.embed_tokens.weight');
  rows.forEach((_, r) => {
    expect(states[r]).toHaveLength(64);
    const again = Array.from({ length: 320 }, (_token, v) =>
      states[r]!.reduce((sum, x, i) => sum + x * embeddings[v * 64 + i]!, 0),
    );
    expect(farthest(again, logits[r]!)).toBeLessThan(1e-4);
  });
});

test('steering moves its own row and no other, and nothing by zeros', async () => {
  const rows = [tokens(9, 1), tokens(4, 2)];
  const plain = await (await Decoder.open(tied, 'float32')).feed(rows);
  const decoder = await Decoder.open(tied, 'float32', { steering: 1 });
  const steered = async (values: Float32Array) => {
    decoder.reset();
    return decoder.read('logits', rows, { steering: new Tensor('float32', values, [2, 64]) });
  };
  const still = await steered(new Float32Array(128));
  still.forEach((row, i) => expect(farthest(row, plain[i]!)).toBe(0));
  const [moved, other] = await steered(new Float32Array(128).fill(1, 0, 64));
  expect(farthest(moved!, plain[0]!)).toBeGreaterThan(0.1);
  expect(farthest(other!, plain[1]!)).toBe(0);
  await expect(Decoder.open(tied, 'float32', { steering: 3 })).rejects.toThrow(
    'steering is after layer 3; the model has 1 to 2',
  );
});

test('a graph in two files computes as in one', async () => {
  const { spec, source } = tied;
  for (const weights of ['float32', 'float16', 'int8', 'int4'] as const) {
    const g = buildDecoder(spec, source, { weights, layout: 'genai' });
    const folder = temporaryFolder();
    const { model, data, dataBytes } = g.split('weights');
    const bytes = Buffer.concat([...data]);
    expect(bytes).toHaveLength(dataBytes);
    writeFileSync(join(folder, 'model.onnx'), model);
    writeFileSync(join(folder, 'weights'), bytes);
    expect(model.length).toBeLessThan(g.bytes().length / 2);
    const [one, two] = await Promise.all([
      InferenceSession.create(g.bytes()),
      InferenceSession.create(join(folder, 'model.onnx')),
    ]);
    const ids = tokens(5);
    expect(await genaiLogits(two, spec, ids)).toEqual(await genaiLogits(one, spec, ids));
  }
});

test('a checkpoint that is not of the shape its config says is refused by the name of the tensor', () => {
  const config = readConfig(tied.folder);
  const build = (changes: object) =>
    buildDecoder(describe({ ...config, ...changes }, null, null), tied.source, {
      weights: 'int8',
      layout: 'cached',
    });
  expect(() => build({ num_hidden_layers: 3 })).toThrow(
    'no tensor model.layers.2.input_layernorm.weight',
  );
  expect(() => build({ num_hidden_layers: 1 })).toThrow(
    'tensor model.layers.1.input_layernorm.weight has no place in a Llama',
  );
  expect(() => build({ intermediate_size: 128 })).toThrow(
    'gate_proj.weight is [96, 64]; the config asks for [128',
  );
  expect(() => build({ tie_word_embeddings: false })).toThrow('no tensor lm_head.weight');
});

test('a weight beyond the range of float16 is refused by name', () => {
  const huge: TensorSource = {
    ...tied.source,
    read: (name, from, to) => tied.source.read(name, from, to).fill(1e5, 0, 1),
  };
  const g = buildDecoder(tied.spec, huge, { weights: 'float16', layout: 'cached' });
  expect(() => g.bytes()).toThrow('model.embed_tokens.weight holds a weight beyond 65504');
});
