/** 8-bit block quantisation: its error bound, and what it refuses. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK, dequantize, quantize } from '../../../src/importer/quantize.ts';

const weights = fc
  .array(fc.float({ noNaN: true, min: -100, max: 100 }), { minLength: 1, maxLength: 4 * BLOCK })
  .map((values) => Float32Array.from({ length: 4 * BLOCK }, (_, i) => values[i] ?? 0));

test('a weight is off by half a step of its block at most', () => {
  fc.assert(
    fc.property(weights, (weight) => {
      const quantized = quantize(weight, 2 * BLOCK, 'w');
      const back = dequantize(quantized);
      for (let block = 0; block < 4; block++) {
        const values = weight.slice(block * BLOCK, (block + 1) * BLOCK);
        const step = Math.max(...values.map(Math.abs)) / 127;
        values.forEach((value, i) =>
          expect(Math.abs(value - back[block * BLOCK + i]!)).toBeLessThanOrEqual(
            step * 0.50001 + 2 ** -126,
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
  const { q, scales } = quantize(weight, BLOCK, 'w');
  expect(Array.from(q.subarray(0, 5))).toEqual([255, 1, 192, 127, 128]);
  expect([...scales]).toEqual([1, 0]);
  expect([...dequantize({ q, scales })]).toEqual([...weight]);
});

test('what cannot be quantised is refused by name', () => {
  expect(() => quantize(new Float32Array(96), 48, 'up')).toThrow('up has 48 inputs; 8-bit weights');
  for (const bad of [NaN, Infinity, -Infinity])
    expect(() => quantize(new Float32Array(BLOCK).fill(1).fill(bad, 3, 4), BLOCK, 'up')).toThrow(
      'up holds a weight that is not finite',
    );
});
