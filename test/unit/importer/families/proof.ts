/**
 * What every family is held to: the graph gives the logits of the published definition at every position, at once,
 * step by step over the cache and in ragged batches; greedy text is the same; a row's bits do not depend on its batch.
 */

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importModel } from '../../../../src/importer/import.ts';
import { loadDecoder } from '../../../../src/runtime/decoder.ts';
import { cpu } from '../../../../src/runtime/devices/device.ts';
import { closing, testOrt } from '../../../fakes/ort.ts';
import {
  Decoder,
  farthest,
  genaiLogits,
  openCheckpoint,
  session,
  tokens,
  type Checkpoint,
} from '../checkpoint.ts';
import { headsOf, layerNorm, rmsNorm } from './arithmetic.ts';
import type { Published, Vector } from './published.ts';

testOrt(); // before onnxruntime-node makes its own environment in this process, which would not do for ours

/** float32 against float64, logits of about one. */
const CLOSE = 1e-4;

/** @param forward logits after each token, [tokens][vocab], in float64 from the definition */
export function provesFamily(
  name: string,
  published: Published,
  forward: (tokens: readonly number[]) => Vector[],
): void {
  const checkpoint = openCheckpoint(published.folder);

  test(`${name}: logits are those of the definition at every position`, async () => {
    const ids = tokens(24);
    const expected = forward(ids);
    const model = await session(checkpoint, { weights: 'float32', layout: 'genai' });
    const every = await genaiLogits(model, checkpoint.spec, ids);
    every.forEach((row, i) => expect(farthest(row, expected[i]!)).toBeLessThan(CLOSE));
  });

  test(`${name}: steps over the cache, from one token and from several`, async () => {
    const ids = tokens(20, 3);
    const expected = forward(ids);
    const decoder = await Decoder.open(checkpoint, 'float32');
    for (const first of [1, 5]) {
      decoder.reset();
      const [prefilled] = await decoder.feed([ids.slice(0, first)]);
      expect(farthest(prefilled!, expected[first - 1]!)).toBeLessThan(CLOSE);
      for (let i = first; i < ids.length; i++) {
        const [row] = await decoder.feed([[ids[i]!]]);
        expect(farthest(row!, expected[i]!)).toBeLessThan(CLOSE);
      }
    }
    decoder.reset();
    await decoder.feed([ids.slice(0, 7)]);
    const [chunk] = await decoder.feed([ids.slice(7)]);
    expect(farthest(chunk!, expected.at(-1)!)).toBeLessThan(CLOSE);
  });

  test(`${name}: a ragged batch, prefilled and stepped`, async () => {
    const prompts = [tokens(9, 1), tokens(3, 2), tokens(14, 5)];
    const decoder = await Decoder.open(checkpoint, 'float32');
    const prefilled = await decoder.feed(prompts);
    prompts.forEach((prompt, i) =>
      expect(farthest(prefilled[i]!, forward(prompt).at(-1)!)).toBeLessThan(CLOSE),
    );
    for (const next of [7, 21]) {
      prompts.forEach((prompt) => prompt.push(next));
      const stepped = await decoder.feed(prompts.map(() => [next]));
      prompts.forEach((prompt, i) =>
        expect(farthest(stepped[i]!, forward(prompt).at(-1)!)).toBeLessThan(CLOSE),
      );
    }
  });

  test(`${name}: greedy text is that of the definition`, async () => {
    const written = tokens(6, 9);
    const decoder = await Decoder.open(checkpoint, 'float32');
    let [logits] = await decoder.feed([written]);
    for (let step = 0; step < 12; step++) {
      const token = argmax(forward(written).at(-1)!);
      expect(argmax([...logits!])).toBe(token);
      written.push(token);
      [logits] = await decoder.feed([[token]]);
    }
  });

  test(`${name}: imported and loaded, over KV rows that are written in place`, () => {
    const to = join(published.folder, 'imported');
    importModel({ from: published.folder, to, role: 'policy', weights: 'float32', created: 0 });
    const kv = closing(closing(loadDecoder(cpu(testOrt()), to, name)).open(3, 48));
    const prompts = [tokens(9, 1), tokens(3, 2), tokens(14, 5)];
    const rowsOf = (logits: Float32Array) => headsOf([...logits], prompts.length);
    const areRight = (logits: Float32Array) =>
      rowsOf(logits).forEach((row, i) =>
        expect(farthest(row, forward(prompts[i]!).at(-1)!)).toBeLessThan(CLOSE),
      );
    areRight(kv.prefillBatch(0, prompts));
    for (const next of [7, 21]) {
      const lengths = Int32Array.from(prompts, (prompt) => prompt.length);
      prompts.forEach((prompt) => prompt.push(next));
      areRight(kv.step(3, Int32Array.of(next, next, next), lengths));
    }
    const more = [5, 9, 31];
    const from = prompts[1]!.length;
    const [logits] = headsOf([...kv.prefill(1, more, from)], 1);
    expect(farthest(logits!, forward([...prompts[1]!, ...more]).at(-1)!)).toBeLessThan(CLOSE);
  });

  test(`${name}: the states of a layer are those that a model of so many layers ends with`, async () => {
    const rows = [tokens(9, 1), tokens(3, 2)];
    const { layers, hidden, vocab } = checkpoint.spec;
    const told = await (
      await Decoder.open(checkpoint, 'float32', { layerStates: true })
    ).feed(rows);
    for (let l = 0; l <= layers.length; l++) {
      const shorter = await Decoder.open(cutTo(checkpoint, l), 'float32', { hiddenStates: true });
      const ends = await shorter.read('hidden_states', rows);
      told.forEach((row, i) => {
        const states = Array.from(row.subarray(vocab + l * hidden, vocab + (l + 1) * hidden));
        const normalised = l === layers.length ? states : finalNorm(checkpoint, states);
        expect(farthest(normalised, ends[i]!)).toBeLessThan(CLOSE);
      });
    }
  });

  test.each(['int8', 'int4'] as const)(
    `${name}, %s: a row has the same bits alone, in a batch, and prefilled in chunks`,
    async (weights) => {
      const prompts = [tokens(9, 1), tokens(3, 2), tokens(14, 5), tokens(14, 6)];
      const decoder = await Decoder.open(checkpoint, weights);
      const prefilled = await decoder.feed(prompts);
      const stepped = await decoder.feed(prompts.map(() => [7]));
      for (const [i, prompt] of prompts.entries()) {
        decoder.reset();
        expect(farthest((await decoder.feed([prompt]))[0]!, prefilled[i]!)).toBe(0);
        expect(farthest((await decoder.feed([[7]]))[0]!, stepped[i]!)).toBe(0);
      }
      decoder.reset();
      await decoder.feed([prompts[2]!.slice(0, 6)]);
      expect(farthest((await decoder.feed([prompts[2]!.slice(6)]))[0]!, prefilled[2]!)).toBe(0);
    },
  );
}

/** The same model without its layers from the `count`th on. */
function cutTo({ folder, spec, source }: Checkpoint, count: number): Checkpoint {
  const isLeft = (name: string): boolean =>
    Number(/(?:layers|h)\.(\d+)\./.exec(name)?.[1] ?? -1) < count;
  const names = source.names.filter(isLeft);
  return {
    folder,
    spec: { ...spec, layers: spec.layers.slice(0, count) },
    source: { ...source, names },
  };
}

function finalNorm({ spec: { norm, finalNorm: name }, source }: Checkpoint, x: Vector): Vector {
  const vector = (what: string): Vector => [...source.read(`${name}.${what}`)];
  const gain = vector('weight').map((w) => w + norm.offset);
  if (norm.kind === 'rms') return rmsNorm(x, gain, norm.epsilon);
  return layerNorm(x, gain, vector('bias'), norm.epsilon);
}

const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));
