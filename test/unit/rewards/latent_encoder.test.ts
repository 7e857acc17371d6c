import { expect, test } from 'vitest';
import { userOf, type LatentEncoder } from '../../../src/rewards/latent_encoder.ts';

const linear = (rows: readonly (readonly number[])[], bias: readonly number[]) => ({
  inputs: rows[0]!.length,
  weight: Float64Array.from(rows.flat()),
  bias: Float64Array.from(bias),
});
const one = (weight: number, bias = 0) => linear([[weight]], [bias]);
/** All of width one: a pair reads chosen - rejected. */
const encoder: LatentEncoder = {
  embedding: null,
  pair: [linear([[1, -1]], [0]), one(2, 0.1)],
  query: one(1),
  key: one(3),
  value: one(0.5),
  mean: one(0.4),
  logVariance: one(-0.3, 0.2),
};

test('one pair attends to itself', () => {
  const x = 2 * 0.2 * (1 - 1.5) + 0.1; // negative: a fifth of it
  const { mean, variance } = userOf(encoder, [[[1], [1.5]]]);
  expect(mean[0]).toBeCloseTo(0.4 * 0.5 * x, 12);
  expect(variance[0]).toBeCloseTo(Math.exp(-0.3 * 0.5 * x + 0.2), 12);
});

test('pairs attend to each other by softmax over the square root of the width, and count alike', () => {
  const pairs = [
    [[1], [0.5]],
    [[0], [0.25]],
    [[2], [1.9]],
  ] as const;
  const x = [2 * 0.5 + 0.1, 2 * 0.2 * -0.25 + 0.1, 2 * 0.1 + 0.1];
  const attended = x.map((q) => {
    const terms = x.map((k) => Math.exp(q * 3 * k));
    const z = terms.reduce((sum, term) => sum + term, 0);
    return terms.reduce((sum, term, i) => sum + (term / z) * 0.5 * x[i]!, 0);
  });
  const whole = attended.reduce((sum, value) => sum + value, 0) / 3;
  const { mean } = userOf(encoder, pairs);
  expect(mean[0]).toBeCloseTo(0.4 * whole, 12);
  expect(userOf(encoder, pairs.toReversed()).mean[0]).toBeCloseTo(mean[0]!, 12);
});

test('mean and log variance are clamped', () => {
  const wide = { ...encoder, mean: one(100), logVariance: one(-100) };
  expect(userOf(wide, [[[9], [0]]])).toEqual({ mean: [1], variance: [Math.exp(-1)] });
});
