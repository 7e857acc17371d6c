import { expect, test } from 'vitest';
import { auroc, bins, ece, platt, type Outcome } from '../../evaluate/calibration.ts';

test('AUROC counts pairs, ties by half', () => {
  expect(
    auroc([
      [0.9, true],
      [0.5, true],
      [0.5, false],
      [0.1, false],
    ]),
  ).toBe(3.5 / 4);
});

test('a calibration error is the bins’ distance from what they said, by their size', () => {
  const outcomes: Outcome[] = [
    [0.2, true],
    [0.2, false],
    [1, true],
    [1, true],
  ];
  expect(bins(outcomes)).toEqual([
    { count: 2, said: 0.2, was: 0.5 },
    { count: 2, said: 1, was: 1 },
  ]);
  expect(ece(outcomes)).toBeCloseTo(0.15, 12);
});

test('Platt finds the scale and shift that chances were bent by', () => {
  const outcomes = Array.from({ length: 19 }, (_, i) => (i + 1) / 20).flatMap((p) => {
    const true_ = 1 / (1 + Math.exp(-(0.5 * Math.log(p / (1 - p)) + 0.7)));
    const many = Math.round(4000 * true_);
    return Array.from({ length: 4000 }, (_, i): Outcome => [p, i < many]);
  });
  const { scale, shift } = platt(outcomes);
  expect(scale).toBeCloseTo(0.5, 2);
  expect(shift).toBeCloseTo(0.7, 2);
});

test('chances that are sure and mostly right are made less sure, not more', () => {
  const outcomes = Array.from({ length: 400 }, (_, i): Outcome => {
    const yes = i % 2 === 0;
    return [yes ? 0.9999 : 0.0001, i % 40 < 2 ? !yes : yes];
  });
  const { scale, shift } = platt(outcomes);
  expect(scale).toBeGreaterThan(0.2);
  expect(scale).toBeLessThan(0.5);
  expect(Math.abs(shift)).toBeLessThan(0.5);
});
