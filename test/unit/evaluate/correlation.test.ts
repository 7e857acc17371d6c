import { expect, test } from 'vitest';
import { correlationWithin, ranksOf, type Pair } from '../../evaluate/correlation.ts';

/** Within each group the second figure falls as the first rises; between them both rise. */
const FALLING: readonly Pair[] = [
  [0, 1, 3],
  [0, 2, 2],
  [0, 3, 1],
  [1, 11, 13],
  [1, 12, 12],
  [1, 13, 11],
];

test('what differs between groups does not count', () => {
  expect(correlationWithin(FALLING)).toEqual({ correlation: -1, samples: 4 });
});

test('Pearson of one group is the definition', () => {
  const pairs: Pair[] = [
    [0, 1, 2],
    [0, 2, 1],
    [0, 3, 6],
  ]; // deviations -1 0 1 and -1 -2 3: 4 / sqrt(2 * 14)
  expect(correlationWithin(pairs).correlation).toBeCloseTo(4 / Math.sqrt(28), 12);
});

test('ranks are within the group, from 0 to 1, equal ones at their mean', () => {
  const pairs: Pair[] = [
    [0, 5, 1],
    [0, 100, 1],
    [0, 7, 9],
    [1, 3, 3],
  ];
  expect(ranksOf(pairs)).toEqual([
    [0, 0, 0.25],
    [0, 1, 0.25],
    [0, 0.5, 1],
    [1, 0, 0],
  ]);
});
