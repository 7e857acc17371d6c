import { describe, expect, test } from 'vitest';
import type { LanguageModel } from '../../../src/core/model.ts';
import { loadDecoder } from '../../../src/runtime/decoder.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { scalesOf, type Texts } from '../../../src/runtime/kv/calibrate.ts';
import { shapeOf } from '../../../src/runtime/shape.ts';
import { decoder, TALES, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { kvRowsLaws, tokensOf } from '../../laws/kv_rows.ts';

testOrt(2); // the work of a row may be split, as it is when serving

const textsOf = (folder: string, seed: bigint): Texts => ({
  vocab: shapeOf(folder).vocab,
  opening: [0],
  seed,
});

function calibrated(folder: string): LanguageModel {
  const shape = shapeOf(folder);
  const scales = scalesOf(decoder(folder), shape, textsOf(folder, 1n));
  return closing(loadDecoder(cpu(testOrt()), folder, 'int8', scales));
}

describe.each(['tiny int8', 'tiny float32', 'tales'])('%s', (kind) => {
  const weights = kind === 'tiny float32' ? 'float32' : 'int8';
  kvRowsLaws(() => calibrated(kind === 'tales' ? TALES : tinyFolder({}, weights)));
});

test.each(['tales', 'arm-happy'])(
  '%s: a prompt leaves the bits beside others that it leaves alone',
  (name) => {
    const model = calibrated(TALES.replace(/tales$/, name));
    const kv = closing(model.open(2, 192));
    const lengths = [2, 17, 33, 63, 64, 65, 66, 97, 129];
    const differing = lengths.filter((length) => {
      const alone = kv.prefill(0, tokensOf(length), 0).slice();
      const beside = kv.prefillBatch(0, [tokensOf(length), tokensOf(length + 57, 2)]);
      return alone.some((logit, i) => logit !== beside[i]);
    });
    expect(differing).toEqual([]);
  },
);
