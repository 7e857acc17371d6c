import { expect, test } from 'vitest';
import type { GuideUse, Guidance } from '../../../src/core/guide.ts';
import { laneWeights } from '../../../src/guides/lane_weights.ts';

const use = (plus: number, weight: number, changes: Partial<GuideUse> = {}): GuideUse => ({
  plus,
  minus: null,
  weight,
  entropyAbove: null,
  ...changes,
});

interface Given {
  readonly combine?: Guidance['combine'];
  readonly lanes?: number;
  readonly scale?: number;
  readonly entropy?: number | null;
}

const weights = (
  uses: readonly GuideUse[],
  { combine = 'sum', lanes = 3, scale = 1, entropy = null }: Given = {},
): number[] => [
  ...laneWeights({ uses, combine, maxKl: null, plausibility: 0 }, lanes, scale, entropy),
];

test('without guides the policy stands alone', () => {
  expect(weights([], { lanes: 1 })).toEqual([1]);
});

test('each guide adds its weight to its lane, twice if it is used twice', () => {
  expect(weights([use(1, 0.5), use(2, -2)])).toEqual([1, 0.5, -2]);
  expect(weights([use(1, 0.5), use(1, 0.25)])).toEqual([1, 0.75, 0]);
});

test('a density ratio takes from the lane below the line, the policy itself included', () => {
  expect(weights([use(1, 0.5, { minus: 2 })])).toEqual([1, 0.5, -0.5]);
  expect(weights([use(1, 1, { minus: 0 })], { lanes: 2 })).toEqual([0, 1]);
});

test('mean divides all weights by their sum, the policy`s 1 included', () => {
  expect(weights([use(1, 1), use(2, 2)], { combine: 'mean' })).toEqual([0.25, 0.25, 0.5]);
});

test('the scale works on guides only, before the mean', () => {
  expect(weights([use(1, 2), use(2, 4)], { scale: 0.5 })).toEqual([1, 1, 2]);
  expect(weights([use(1, 2), use(2, 4)], { scale: 0, combine: 'mean' })).toEqual([1, 0, 0]);
});

test('an entropy mask drops a guide at or below its bound, and only once the entropy is known', () => {
  const uses = [use(1, 1, { entropyAbove: 2 }), use(2, 1)];
  expect(weights(uses, { entropy: null })).toEqual([1, 1, 1]);
  expect(weights(uses, { entropy: 2 })).toEqual([1, 0, 1]);
  expect(weights(uses, { entropy: 2.1 })).toEqual([1, 1, 1]);
});
