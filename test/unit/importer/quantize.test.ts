/** Block quantisation with 8 and 4 bits: its error bounds. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK, quantize, type Quantized } from '../../../src/importer/quantize.ts';

/** The weights that the kernels compute with. */
const dequantize8 = ({ q, scales }: Quantized): Float32Array =>
  Float32Array.from(q, (level, i) => (level - 128) * scales[Math.floor(i / BLOCK)]!);
const dequantize4 = ({ q, scales }: Quantized): Float32Array =>
  Float32Array.from({ length: q.length * 2 }, (_, i) => {
    const level = (q[i >> 1]! >> (4 * (i % 2))) & 15;
    return (level - 8) * scales[Math.floor(i / BLOCK)]!;
  });

const weights = fc
  .array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: 1, maxLength: 4 * BLOCK })
  .map((values) => Float32Array.from({ length: 4 * BLOCK }, (_, i) => values[i] ?? 0));

test('8 bits: a weight is off by half a step of its block at most', () => {
  fc.assert(
    fc.property(weights, (weight) => {
      const quantized = quantize(weight, 8);
      const back = dequantize8(quantized);
      for (let block = 0; block < 4; block++) {
        const values = weight.slice(block * BLOCK, (block + 1) * BLOCK);
        const step = Math.max(...values.map(Math.abs)) / 127;
        values.forEach((value, i) =>
          expect(Math.abs(value - back[block * BLOCK + i]!)).toBeLessThanOrEqual(
            step * 0.50001 + 2 ** -118,
          ),
        );
      }
      expect(quantized.q.every((level) => level >= 1)).toBe(true);
    }),
  );
});

test('the largest weight of a block is exact, and zeros stay zeros', () => {
  const weight = new Float32Array(2 * BLOCK);
  weight.set([127, -127, 64, -1]);
  const { q, scales } = quantize(weight, 8);
  expect(Array.from(q.subarray(0, 5))).toEqual([255, 1, 192, 127, 128]);
  expect([...scales]).toEqual([1, 0]);
  expect([...dequantize8({ q, scales })]).toEqual([...weight]);
});

test('4 bits: a weight is off by half a step at most, by a whole one at the far end', () => {
  fc.assert(
    fc.property(weights, (weight) => {
      const back = dequantize4(quantize(weight, 4));
      for (let block = 0; block < 4; block++) {
        const values = weight.slice(block * BLOCK, (block + 1) * BLOCK);
        const extreme = values.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0);
        const step = Math.abs(extreme) / 8;
        values.forEach((value, i) => {
          const farEnd = value / extreme < -7 / 8;
          const off = Math.abs(value - back[block * BLOCK + i]!);
          expect(off).toBeLessThanOrEqual(step * (farEnd ? 1.00001 : 0.50001) + 2 ** -118);
        });
      }
    }),
  );
});

test('4 bits: the first weight of a pair stands in the low half', () => {
  const weight = new Float32Array(BLOCK);
  weight.set([-8, 7, 0, 1]);
  const { q, scales } = quantize(weight, 4);
  expect([...q.subarray(0, 3)]).toEqual([0xf0, 0x98, 0x88]);
  expect([...scales]).toEqual([1]);
});
