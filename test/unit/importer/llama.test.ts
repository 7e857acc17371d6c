/** The graph of a Llama against a float64 forward pass, and against itself in batches and steps. */

import { expect, test } from 'vitest';
import { buildLlama } from '../../../src/importer/llama.ts';
import { Decoder, farthest, genaiLogits, randomCheckpoint, session, tokens } from './checkpoint.ts';
import { Reference } from './reference.ts';

const tied = randomCheckpoint();
const untied = randomCheckpoint({ tied: false, seed: 2, heads: 2, kvHeads: 1, layers: 1 });
/** Its feed-forward width is no multiple of a block. */
const ragged = randomCheckpoint({ ffn: 100, layers: 1, seed: 3 });

test.each([
  ['tied embeddings', tied],
  ['separate embeddings', untied],
])('prefill gives the logits of the definition at every position: %s', async (_, checkpoint) => {
  const ids = tokens(24);
  const expected = new Reference(checkpoint.config, checkpoint.source).logits(ids);
  const every = await genaiLogits(
    await session(checkpoint, { weights: 'float32', layout: 'genai' }),
    checkpoint.config,
    ids,
  );
  every.forEach((row, i) => expect(farthest(row, expected[i]!)).toBeLessThan(1e-4));
  for (const length of [1, 2, 7, 24]) {
    const decoder = await Decoder.open(checkpoint, 'float32');
    const [last] = await decoder.feed([ids.slice(0, length)]);
    expect(farthest(last!, expected[length - 1]!)).toBeLessThan(1e-4);
  }
});

test('steps over the cache give the logits of the definition at every position', async () => {
  const ids = tokens(20, 3);
  const expected = new Reference(tied.config, tied.source).logits(ids);
  const decoder = await Decoder.open(tied, 'float32');
  const [first] = await decoder.feed([ids.slice(0, 4)]);
  expect(farthest(first!, expected[3]!)).toBeLessThan(1e-4);
  for (let i = 4; i < ids.length; i++) {
    const [row] = await decoder.feed([[ids[i]!]]);
    expect(farthest(row!, expected[i]!)).toBeLessThan(1e-4);
  }
});

test('a ragged batch, prefilled and stepped, gives each row its own logits', async () => {
  const prompts = [tokens(9, 1), tokens(3, 2), tokens(14, 5)];
  const reference = new Reference(tied.config, tied.source);
  const decoder = await Decoder.open(tied, 'float32');
  const prefilled = await decoder.feed(prompts);
  prompts.forEach((prompt, i) =>
    expect(farthest(prefilled[i]!, reference.logits(prompt).at(-1)!)).toBeLessThan(1e-4),
  );
  for (const next of [7, 21]) {
    prompts.forEach((prompt) => prompt.push(next));
    const stepped = await decoder.feed(prompts.map(() => [next]));
    prompts.forEach((prompt, i) =>
      expect(farthest(stepped[i]!, reference.logits(prompt).at(-1)!)).toBeLessThan(1e-4),
    );
  }
});

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

test('8-bit weights stay close to float32: tied and separate embeddings, a width of no whole blocks', async () => {
  for (const checkpoint of [tied, untied, ragged]) {
    const prompts = [tokens(20, 4), tokens(5, 8)];
    const [exact, close] = [
      await (await Decoder.open(checkpoint, 'float32')).feed(prompts),
      await (await Decoder.open(checkpoint, 'int8')).feed(prompts),
    ];
    const spread = Math.max(...exact[0]!.map(Math.abs));
    exact.forEach((row, i) => expect(farthest(row, close[i]!)).toBeLessThan(spread * 0.05));
  }
});

test('tied embeddings are in the file once', () => {
  const { config, source } = randomCheckpoint({ vocab: 4096, ffn: 64, layers: 1, context: 16 });
  const values = source.names.reduce((sum, name) => sum + source.read(name).length, 0);
  const float = buildLlama(config, source, { weights: 'float32', layout: 'cached' }).length;
  const int8 = buildLlama(config, source, { weights: 'int8', layout: 'cached' }).length;
  expect(float / (4 * values)).toBeLessThan(1.05);
  expect(int8 / (1.125 * values)).toBeLessThan(1.05);
});

test('a checkpoint that is no Llama of this shape is refused by the name of the tensor', () => {
  const options = { weights: 'int8', layout: 'cached' } as const;
  const build = (changes: object) =>
    buildLlama({ ...tied.config, ...changes }, tied.source, options);
  expect(() => build({ layers: 3 })).toThrow('no tensor model.layers.2.input_layernorm.weight');
  expect(() => build({ layers: 1 })).toThrow('model.layers.1.input_layernorm.weight has no place');
  expect(() => build({ ffn: 128 })).toThrow(
    'gate_proj.weight is [96, 64]; the config asks for [128',
  );
  expect(() => build({ tied: false })).toThrow('no tensor lm_head.weight');
});
