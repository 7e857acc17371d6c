import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hypervolume, meanInnerProduct } from '../../evaluate/preference.ts';
import { vectorCase } from '../../fakes/vectors.ts';

test('the mean inner product of wishes and what was given', () => {
  const { input, expected } = vectorCase<
    Record<'weights' | 'rewards', number[][]>,
    { mip: number }
  >('personal_multi.json', 'mean_inner_product');
  expect(meanInnerProduct(input.weights, input.rewards)).toBeCloseTo(expected.mip, 9);
});

test.each([
  [[], 0],
  [[[2, 3]], 6],
  [
    [
      [2, 3],
      [1, 1],
    ],
    6,
  ], // one that another is better than
  [
    [
      [2, 3],
      [2, 3],
    ],
    6,
  ],
  [
    [
      [3, 1],
      [1, 3],
      [2, 2],
    ],
    6,
  ], // 1 + 2 + 3
  [
    [
      [3, 1],
      [-1, 9],
    ],
    3,
  ], // worse than the reference in one goal
  [
    [
      [3, -1],
      [1, 2],
    ],
    2,
  ],
] as [number[][], number][])('the area that %j are better than', (points, area) => {
  expect(hypervolume(points, [0, 0])).toBe(area);
});

test('an area is that of the cells of a grid, counted', () => {
  const goal = fc.integer({ min: -2, max: 8 });
  const property = fc.property(fc.array(fc.tuple(goal, goal), { maxLength: 8 }), (points) => {
    let cells = 0;
    for (let x = 0; x < 8; x++)
      for (let y = 0; y < 8; y++) cells += Number(points.some(([a, b]) => a > x && b > y));
    expect(hypervolume(points, [0, 0])).toBe(cells);
  });
  fc.assert(property);
});
