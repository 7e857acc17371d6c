import { expect, test } from 'vitest';
import { mulberry } from '../../support/mulberry.ts';
import { trendOf } from '../../soak/trend.ts';

const minutes = Array.from({ length: 120 }, (_, i) => i / 4);

test('a line has its slope, and no doubt about it', () => {
  const { slope, standardError } = trendOf(minutes.map((x) => [x, 7 - 3 * x]));
  expect(slope).toBeCloseTo(-3, 10);
  expect(standardError).toBeCloseTo(0, 10);
});

test('by hand: (0, 0), (1, 1), (2, 0) and (3, 3) rise by 0.8, give or take 0.5', () => {
  const { slope, standardError } = trendOf([
    [0, 0],
    [1, 1],
    [2, 0],
    [3, 3],
  ]);
  expect(slope).toBeCloseTo(0.8, 10);
  expect(standardError).toBeCloseTo(Math.sqrt(2.8 / 2 / 5), 10);
});

test('the error of a still figure under noise is the size of the slopes that are found', () => {
  const found = Array.from({ length: 200 }, (_, seed) => {
    const random = mulberry(seed + 1);
    return trendOf(minutes.map((x) => [x, random()]));
  });
  const beyond = found.filter((each) => Math.abs(each.slope) > 2 * each.standardError).length;
  expect(beyond / found.length).toBeLessThan(0.15);
  expect(beyond).toBeGreaterThan(0);
});

test('two points have no error', () => {
  expect(() =>
    trendOf([
      [0, 1],
      [1, 2],
    ]),
  ).toThrow('2 points have no trend');
});
