import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { agreementsOf } from '../../../src/api/agreement.ts';

const judged = (a: readonly number[], b: readonly number[]) =>
  a.map((x, i) => ({ parts: { a: x, b: b[i]! } }));

const of = (a: readonly number[], b: readonly number[]) =>
  agreementsOf(['a', 'b'], judged(a, b))[0]!;

test('numbers worked out by hand', () => {
  // Pairs: 5 alike, 1 not; deviations (-1.5, -0.5, 0.5, 1.5) and (-1.5, 0.5, -0.5, 1.5).
  expect(of([1, 2, 3, 4], [1, 3, 2, 4])).toEqual({
    rewards: ['a', 'b'],
    candidates: 4,
    correlation: 0.8,
    kendall: 4 / 6,
  });
  // One tie in b: 5 alike, none not, of 6 and 5 that are told apart.
  expect(of([1, 2, 3, 4], [1, 2, 2, 4]).kendall).toBeCloseTo(5 / Math.sqrt(30), 12);
});

test('rank agreement is 1 under any rising change of scale, -1 under a falling one', () => {
  const values = fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 3, maxLength: 20 });
  fc.assert(
    fc.property(values, (x) => {
      expect(
        of(
          x,
          x.map((v) => Math.exp(v / 10)),
        ).kendall,
      ).toBeCloseTo(1, 12);
      expect(
        of(
          x,
          x.map((v) => -(v ** 3)),
        ).kendall,
      ).toBeCloseTo(-1, 12);
      expect(
        of(
          x,
          x.map((v) => 3 - 2 * v),
        ).correlation,
      ).toBeCloseTo(-1, 12);
    }),
  );
});

test('candidates that one has not judged are left out, and nothing is said of two', () => {
  const some = [...judged([1, 2, 3], [1, 2, 3]), { parts: { a: 9, b: NaN } }, { parts: { b: 7 } }];
  expect(agreementsOf(['a', 'b'], some)[0]).toMatchObject({ candidates: 3, kendall: 1 });
  expect(agreementsOf(['a', 'b'], some.slice(1))).toEqual([]);
  expect(agreementsOf(['a'], some)).toEqual([]);
});

test('a reward that says the same of all agrees with none', () => {
  expect(of([1, 1, 1], [1, 2, 3])).toMatchObject({ correlation: null, kendall: null });
});
