import { expect, test } from 'vitest';
import {
  agreement,
  logSigmoid,
  logSumExp,
  quantile,
  sigmoid,
  softmax,
  sum,
} from '../../../src/core/math.ts';

test('quantiles are linear between order statistics', () => {
  expect([0, 0.25, 0.5, 0.95, 1].map((q) => quantile([4, NaN, 1, 3, 2], q))).toEqual([
    1,
    1.75,
    2.5,
    expect.closeTo(3.85, 12),
    4,
  ]);
  expect(quantile([7], 0.3)).toBe(7);
  expect(quantile([-Infinity, 1, 2, Infinity], 0.5)).toBe(1.5);
  expect(quantile([NaN], 0.3)).toBeNaN();
});

test('sums in log space neither overflow nor make NaN of what has no weight', () => {
  expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 12);
  expect(logSumExp([-Infinity, -1000])).toBe(-1000);
  expect(logSumExp([-Infinity, -Infinity])).toBe(-Infinity);
  expect(logSumExp([])).toBe(-Infinity);
  expect(softmax([1000, -Infinity, 1000])).toEqual([0.5, 0, 0.5]);
  expect(sum([])).toBe(0);
});

test('sigmoids and their logs are exact far out on both sides', () => {
  expect([sigmoid(-1e6), sigmoid(0), sigmoid(1e6)]).toEqual([0, 0.5, 1]);
  expect([logSigmoid(-800), logSigmoid(800)]).toEqual([-800, 0]);
  for (const x of [-30, -1, 0, 2, 30]) expect(logSigmoid(x)).toBeCloseTo(Math.log(sigmoid(x)), 12);
});

test('two sequences agree as far as their first difference', () => {
  expect(agreement([1, 2, 3], [1, 2, 4, 5])).toBe(2);
  expect(agreement('abc', 'abcd')).toBe(3);
  expect(agreement([], [1])).toBe(0);
});
