/** Graphs that tell the states of all their layers: against the definition in float64, and against graphs that do not. */

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importModel } from '../../../src/importer/import.ts';
import { TINY } from '../../support/random_llama.ts';
import { Decoder, farthest, randomCheckpoint, temporaryFolder, tokens } from './checkpoint.ts';
import { Reference } from './reference.ts';

const tiny = randomCheckpoint();
const [VOCAB, HIDDEN, LAYERS] = [TINY.vocab, TINY.hidden, TINY.layers];
const ROWS = [tokens(9, 1), tokens(3, 2), tokens(14, 5)];

const split = (row: Float32Array) => ({
  logits: row.subarray(0, VOCAB),
  layers: Array.from({ length: LAYERS + 1 }, (_, l) =>
    row.subarray(VOCAB + l * HIDDEN, VOCAB + (l + 1) * HIDDEN),
  ),
});

test('behind its logits a row tells its states of every layer, read at once and stepped on, beside rows of other lengths', async () => {
  const reference = new Reference(tiny.source);
  const decoder = await Decoder.open(tiny, 'float32', { layerStates: true });
  const compare = (texts: readonly (readonly number[])[], told: readonly Float32Array[]): void =>
    texts.forEach((text, i) => {
      expect(told[i]).toHaveLength(VOCAB + (LAYERS + 1) * HIDDEN);
      const { layers } = split(told[i]!);
      reference.layers(text).forEach((states, l) => {
        expect(farthest(states.at(-1)!, layers[l]!)).toBeLessThan(1e-5);
      });
    });
  compare(ROWS, await decoder.feed(ROWS));
  const stepped = ROWS.map((row, i) => [...row, 7 + i]);
  const told = await decoder.feed(stepped.map((row) => row.slice(-1)));
  compare(stepped, told);
});

describe.each(['float32', 'int8'] as const)('%s', (weights) => {
  test('the logits have the bits that they have without', async () => {
    const plain = await (await Decoder.open(tiny, weights)).feed(ROWS);
    const told = await (await Decoder.open(tiny, weights, { layerStates: true })).feed(ROWS);
    plain.forEach((row, i) => expect(farthest(row, split(told[i]!).logits)).toBe(0));
  });

  test('a row has the same bits alone and in a batch', async () => {
    const together = await Decoder.open(tiny, weights, { layerStates: true });
    const all = await together.feed(ROWS);
    const stepped = await together.feed(ROWS.map(() => [7]));
    for (const [i, row] of ROWS.entries()) {
      const alone = await Decoder.open(tiny, weights, { layerStates: true });
      expect(farthest((await alone.feed([row]))[0]!, all[i]!)).toBe(0);
      expect(farthest((await alone.feed([[7]]))[0]!, stepped[i]!)).toBe(0);
    }
  });
});

test('the last of them are the states that the logits are made of', async () => {
  const decoder = await Decoder.open(tiny, 'float32', { layerStates: true, hiddenStates: true });
  const states = await decoder.read('hidden_states', ROWS);
  decoder.reset();
  const told = await decoder.feed(ROWS);
  told.forEach((row, i) => expect(farthest(split(row).layers.at(-1)!, states[i]!)).toBe(0));
});

test('a model without a vocabulary, a layout that others read, and an encoder cannot tell them', () => {
  const ask = { from: tiny.folder, layerStates: true, created: 0 } as const;
  const to = join(temporaryFolder(), 'out');
  const refused = '--layer-states is for models with a vocabulary, in the cached layout';
  expect(() => importModel({ ...ask, to, role: 'policy', layout: 'genai' })).toThrow(refused);
  const scalar = randomCheckpoint({ score: true }).folder;
  expect(() => importModel({ ...ask, to, from: scalar, role: 'reward' })).toThrow(refused);
});
