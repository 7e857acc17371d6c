import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadDecoder } from '../../../src/runtime/decoder.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { tailsOf } from '../../../src/runtime/tail.ts';
import { decoder, TALES, tinyFolder } from '../../fakes/models.ts';
import { testOrt } from '../../fakes/ort.ts';
import { differingBesideLonger, kvRowsLaws, tokensOf } from '../../laws/kv_rows.ts';

testOrt(2); // the work of a row may be split, as it is when serving

describe.each(['tiny int8', 'tiny float32', 'tales'])('%s', (kind) => {
  const weights = kind === 'tiny float32' ? 'float32' : 'int8';
  kvRowsLaws(() => decoder(kind === 'tales' ? TALES : tinyFolder({}, weights)));
});

test.each(['tales', 'arith'])(
  '%s: a prompt read beside a longer one leaves the bits that it leaves alone',
  (name) => {
    const model = decoder(TALES.replace(/tales$/, name));
    expect(differingBesideLonger(model)).toEqual([]);
  },
);

test('a damaged, a missing and a lying model folder are refused by path', () => {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-bad-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  expect(() => loadDecoder(cpu(testOrt()), join(folder, 'none'), 'none')).toThrow(
    /none.config\.json/,
  );
  writeFileSync(join(folder, 'config.json'), '{"vocab_size":');
  expect(() => loadDecoder(cpu(testOrt()), folder, 'bad')).toThrow(/config\.json/);
  writeFileSync(join(folder, 'config.json'), '{"num_hidden_layers": 2}');
  writeFileSync(join(folder, 'model.onnx'), 'not a model');
  expect(() => loadDecoder(cpu(testOrt()), folder, 'bad')).toThrow(/model\.onnx/);
});

test('a graph of other inputs is refused when it is loaded, not when it is asked', () => {
  const scalar = TALES.replace(/tales$/, 'rm-happy-a');
  expect(() => loadDecoder(cpu(testOrt()), scalar, 'rm')).toThrow(
    /rm-happy-a is no decoder.*logits/,
  );
});

const NONE = Float32Array.of();

test('rows and tails opened, used and closed again leave memory where it was', () => {
  const model = decoder(tinyFolder());
  const once = (): void => {
    using kv = model.open(4, 32);
    using tails = tailsOf(testOrt(), { vocab: model.width, banned: [], rows: 4 });
    kv.prefillBatch(0, [tokensOf(5), tokensOf(9)]);
    for (const rows of [1, 2, 3, 4]) {
      const logits = kv.step(rows, Int32Array.of(9, 9, 9, 9), Int32Array.of(9, 9, 9, 9));
      const tail = tails({ widths: [model.width], tempered: false, cutting: false, top: 64 });
      tail.mix(rows, [logits], { weights: NONE, inverse: NONE, cuts: NONE });
    }
  };
  for (let i = 0; i < 40; i++) once(); // allocators and the collector warm up
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 100; i++) once();
  expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(15);
}, 120_000);
