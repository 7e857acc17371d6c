import fc from 'fast-check';
import { expect, test } from 'vitest';
import { philox, STREAM, uniform } from '../../../src/core/philox.ts';
import { vectors } from '../../fakes/vectors.ts';

type Words = [number, number, number, number];

const { cases } = vectors<{ counter: Words; key: [number, number] }, { output: Words }>(
  'sampler.json',
);

test.each(cases.filter(({ name }) => name.startsWith('philox')))(
  'Philox4x32-10 answers as published: $name',
  ({ input, expected }) => {
    expect(philox(input.counter, input.key)).toEqual(expected.output);
  },
);

test('Philox4x32-10 answers as published for the digits of pi', () => {
  const counter: Words = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  expect(philox(counter, [0xa4093822, 0x299f31d0])).toEqual([
    0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1,
  ]);
});

const draw = (seed: bigint, n: number): number[] =>
  Array.from({ length: n }, (_, i) => uniform(seed, i, 0, 0, STREAM.token));

test('uniform numbers lie in [0, 1) for any arguments', () => {
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(seed, u32, u32, u32, u32, (s, position, branch, choice, stream) => {
      const u = uniform(s, position, branch, choice, stream);
      expect(u).toBeGreaterThanOrEqual(0);
      expect(u).toBeLessThan(1);
      expect(u).toBe(uniform(s, position, branch, choice, stream));
    }),
  );
});

test('seed (both halves), position, branch, choice and stream each change the number', () => {
  const numbers = [
    uniform(7n, 0, 0, 0, STREAM.token),
    uniform(8n, 0, 0, 0, STREAM.token),
    uniform(7n + 2n ** 32n, 0, 0, 0, STREAM.token),
    uniform(7n, 1, 0, 0, STREAM.token),
    uniform(7n, 0, 1, 0, STREAM.token),
    uniform(7n, 0, 0, 1, STREAM.token),
    uniform(7n, 0, 0, 0, STREAM.strategy),
  ];
  expect(new Set(numbers).size).toBe(numbers.length);
});

test('20,000 numbers have the mean and variance of a uniform law, and neighbours do not correlate', () => {
  const n = 20_000;
  const u = draw(3n, n);
  const mean = u.reduce((a, b) => a + b) / n;
  const variance = u.reduce((a, b) => a + (b - mean) ** 2, 0) / n;
  const lag = u.slice(1).reduce((a, b, i) => a + (b - mean) * (u[i]! - mean), 0) / n / variance;
  const sigmas = 4;
  expect(Math.abs(mean - 0.5)).toBeLessThan((sigmas * Math.sqrt(1 / 12)) / Math.sqrt(n));
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(sigmas * Math.sqrt(1 / 180 / n));
  expect(Math.abs(lag)).toBeLessThan(sigmas / Math.sqrt(n));
});
