/** KV of int8: the same laws as KV of float32, laws of tokens close to its, and files that do not fit are refused. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { prepareImport } from '../../../src/importer/import.ts';
import { loadDecoder, type Decoder } from '../../../src/runtime/decoder.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { distanceOf, scalesOf, type Texts } from '../../../src/runtime/kv/calibrate.ts';
import { readScales, SCALES_FILE } from '../../../src/runtime/kv/scales.ts';
import type { KvScales } from '../../../src/runtime/onnx/int8_kv.ts';
import { shapeOf } from '../../../src/runtime/shape.ts';
import { decoder, TALES, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { differingBesideLonger, kvRowsLaws, tokensOf } from '../../laws/kv_rows.ts';
import { tokens } from '../importer/checkpoint.ts';

testOrt(2); // the work of a row may be split, as it is when serving

const textsOf = (folder: string, seed: bigint): Texts => ({
  vocab: shapeOf(folder).vocab,
  opening: [0],
  seed,
});
const measured = (folder: string): KvScales =>
  scalesOf(decoder(folder), shapeOf(folder), textsOf(folder, 1n));
/** The pack's own are in its folders. */
const scalesIn = (folder: string): KvScales =>
  existsSync(join(folder, SCALES_FILE)) ? readScales(folder, shapeOf(folder)) : measured(folder);
const int8 = (folder: string, scales = scalesIn(folder)): Decoder =>
  closing(loadDecoder(cpu(testOrt()), folder, 'int8', scales));

const FOLDERS: Readonly<Record<string, () => string>> = {
  'tiny int8': () => tinyFolder(),
  'tiny float32': () => tinyFolder({}, 'float32'),
  'tiny with steering and states': () =>
    tinyFolder({}, 'float32', { steering: 1, layerStates: true }),
  tales: () => TALES,
};

describe.each(Object.entries(FOLDERS))('%s', (_, folder) => {
  kvRowsLaws(() => int8(folder()));
});

test.each(['tales', 'arm-happy'])(
  '%s: a prompt read beside a longer one leaves the bits that it leaves alone',
  (name) => {
    expect(differingBesideLonger(int8(TALES.replace(/tales$/, name)))).toEqual([]);
  },
);

test('a text says the same of its tokens alone and in a batch, close to what float32 says', () => {
  const [exact, model] = [decoder(TALES).texts(300), int8(TALES).texts(300)].map(closing);
  const texts = [40, 3, 77, 18].map((length, seed) => {
    const text = tokens(length, seed).map((token) => token % 300);
    return {
      tokens: text,
      picks: text.slice(1).map((token, after) => ({ after, token })),
    };
  });
  const together = model!.logProbs(texts);
  texts.forEach((text, i) => expect(model!.logProbs([text])[0]).toEqual(together[i]));
  const apart = exact!
    .logProbs(texts)
    .flatMap((of, i) => Array.from(of, (x, at) => Math.abs(x - together[i]![at]!)));
  expect(Math.max(...apart)).toBeGreaterThan(0); // or it is not int8 at all
  expect(apart.reduce((a, b) => a + b, 0) / apart.length).toBeLessThan(0.2); // of tokens that nobody would write
});

test('the pack’s laws move by less than 0.001 nats; with steps ten times as wide they move further', () => {
  const model = decoder(TALES);
  const scales = scalesIn(TALES);
  const wide = (part: KvScales['key']) => part.map((of) => of.map((step) => 10 * step));
  const [fine, coarse] = [scales, { key: wide(scales.key), value: wide(scales.value) }].map(
    (each) => distanceOf(model, int8(TALES, each), textsOf(TALES, 2n)),
  );
  expect(fine!.mean).toBeLessThan(0.001);
  expect(fine!.agreement).toBeGreaterThan(0.95);
  expect(coarse!.mean).toBeGreaterThan(10 * fine!.mean);
});

test('KV takes a quarter of the memory', () => {
  expect(int8(TALES).kvBytes * 4).toBe(decoder(TALES).kvBytes);
});

test('the same texts measure the same steps, and the pack’s are those of its policy', () => {
  expect(measured(TALES)).toEqual(scalesIn(TALES));
});

test.each([
  ['no JSON', '{', /kv_scales\.json/],
  ['a layer too few', '{"key": [], "value": []}', /2 lists of 32 numbers/],
  ['a step of zero', JSON.stringify({ key: steps(0), value: steps(1) }), /above zero/],
  ['no values', JSON.stringify({ key: steps(1) }), /key and value/],
])('a file of scales with %s is refused by its path', (_, text, message) => {
  const folder = tinyFolder();
  writeFileSync(join(folder, SCALES_FILE), text);
  expect(() => readScales(folder, shapeOf(folder))).toThrow(message);
});

function steps(step: number): number[][] {
  return [1, 2].map(() => Array.from({ length: 32 }, () => step));
}

test('scales of another number of layers are refused', () => {
  const { key, value } = scalesIn(TALES);
  expect(() => int8(TALES, { key: key.slice(1), value })).toThrow(/4 layers attend.*3/);
});

test('tensors that stand in a second file are found there', () => {
  const whole = tinyFolder();
  const split = tinyFolder();
  const from = join(split, '../checkpoint');
  using prepared = prepareImport({ from, to: join(split, '../other'), role: 'policy', created: 0 });
  const { model, data } = prepared.model.build().split('model.onnx_data');
  writeFileSync(join(split, 'model.onnx'), model);
  writeFileSync(join(split, 'model.onnx_data'), Buffer.concat([...data]));
  const scales = measured(whole);
  const [expected, found] = [whole, split].map((folder) =>
    closing(int8(folder, scales).open(1, 64)).prefill(0, tokensOf(20), 0).slice(),
  );
  expect(found).toEqual(expected);
});
