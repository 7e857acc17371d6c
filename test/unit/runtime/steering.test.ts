/** Steered rows of a real graph: each by its own vector, however it is read and wherever it lies, as a float64 forward pass has it. */

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../../src/importer/safetensors.ts';
import type { Steering } from '../../../src/core/model.ts';
import { decoder, tinyFolder } from '../../fakes/models.ts';
import { closing } from '../../fakes/ort.ts';
import { tokensOf } from '../../laws/kv_rows.ts';
import { Reference } from '../importer/reference.ts';

const LAYER = 1;
const folder = tinyFolder({}, 'float32', { steering: LAYER });
const model = decoder(folder);
const plain = decoder(tinyFolder({}, 'float32'));
const reference = new Reference(
  closing(openSafetensors(join(folder, '../checkpoint/model.safetensors'))),
);
const wave = (speed: number): Float32Array =>
  Float32Array.from({ length: model.steered }, (_, i) => Math.sin(speed * i));
const [one, other] = [wave(1), wave(2.7)];

const far = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!)));
const forward = (tokens: readonly number[], by: Steering): number[] =>
  reference
    .logits(tokens, (layer, state) =>
      by !== null && layer === LAYER ? state.map((x, i) => x + by[i]!) : state,
    )
    .at(-1)!;
const part = (all: Float32Array, row: number): Float32Array =>
  all.slice(row * model.width, (row + 1) * model.width);

test('only a graph with the input can be steered', () => {
  expect([model.steered, plain.steered]).toEqual([64, 0]);
});

test('rows read alone, together and stepped follow their own vectors', () => {
  const by = [one, null, other];
  const prompts = [tokensOf(9), tokensOf(5, 1), tokensOf(12, 2)];
  const [batch, single] = [closing(model.open(3, 32)), closing(model.open(3, 32))];
  const together = batch.prefillBatch(0, prompts, by);
  prompts.forEach((prompt, row) => {
    const alone = single.prefill(row, prompt, 0, by[row]);
    expect(far(alone, part(together, row))).toBe(0);
    expect(far(alone, forward(prompt, by[row]!))).toBeLessThan(1e-4);
  });
  const stepped = batch.step(3, Int32Array.of(30, 31, 32), Int32Array.of(9, 5, 12), by);
  prompts.forEach((prompt, row) => {
    const expected = forward([...prompt, 30 + row], by[row]!);
    expect(far(part(stepped, row), expected)).toBeLessThan(1e-4);
  });
});

test('a row that takes the place of a steered one is read by its own vector', () => {
  const kv = closing(model.open(2, 32));
  const unsteered = closing(plain.open(1, 32));
  const prompt = tokensOf(7);
  kv.prefill(0, prompt, 0, one);
  kv.step(1, Int32Array.of(30), Int32Array.of(7), [one]);
  const said = unsteered.prefill(0, prompt, 0).slice();
  expect(far(kv.prefill(0, prompt, 0), said)).toBe(0);
  const next = unsteered.step(1, Int32Array.of(30), Int32Array.of(7)).slice();
  expect(far(kv.step(1, Int32Array.of(30), Int32Array.of(7)), next)).toBe(0);
  kv.prefill(1, prompt, 0, other);
  const both = kv.step(2, Int32Array.of(31, 30), Int32Array.of(8, 7), [null, other]);
  expect(far(part(both, 1), forward([...prompt, 30], other))).toBeLessThan(1e-4);
  expect(far(part(both, 0), forward([...prompt, 30, 31], null))).toBeLessThan(1e-4);
});
