import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { numbers, type Bounds } from '../../../src/rules/numbers.ts';

/** Whether a number has a text within bounds: as short as can be, or with six decimals, as numbers near a bound are spelled. */
function isWritten(bounds: Bounds, value: number): boolean {
  const pattern = new RegExp(`^(${numbers(bounds)})$`);
  return pattern.test(String(value)) || pattern.test(value.toFixed(6));
}

test.each([
  [0.6, 1, true, [0.7, 0.999999], [0.5, 1]],
  [2, 3.5, false, [2, 2.9, 3.25, 3.5], [3.6, 4, 1.9]],
  [-0.5, 0.5, false, [-0.25, 0.25, 0], [-0.6, 0.6, 1]],
  [1.5, 3, false, [1.5, 1.75, 2.1, 3], [1.4, 1, 3.1]],
] as const)('from %d to %d, which is left out: %s', (minimum, maximum, below, within, without) => {
  const bounds = { minimum, maximum, above: false, below };
  expect(within.filter((value) => !isWritten(bounds, value))).toEqual([]);
  expect(without.filter((value) => isWritten(bounds, value))).toEqual([]);
});

test('wherever bounds lie, the middle between them can be written', () => {
  const bound = fc.integer({ min: -5000, max: 5000 }).map((n) => n / 1000);
  fc.assert(
    fc.property(bound, fc.integer({ min: 1, max: 3000 }), fc.boolean(), (minimum, more, below) => {
      const maximum = minimum + more / 1000;
      const middle = Number((minimum + (maximum - minimum) / 2).toFixed(6));
      expect(isWritten({ minimum, maximum, above: false, below }, middle), `${middle}`).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
