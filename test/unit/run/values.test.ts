/** Value guides of a running request: what is asked, added, counted and reported. */

import { expect, test } from 'vitest';
import type { Plan } from '../../../src/plan/plan.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran } from '../../fakes/plan.ts';
import { fakeReward, sumOf, use } from '../../fakes/reward.ts';

const guide = (changes: Partial<Plan['values'][number]> = {}): Plan['values'][number] => ({
  reward: sumOf(use('letters')),
  weight: 1,
  topK: 27,
  entropyAbove: null,
  ...changes,
});

/** Worth more the more often the letter was taken. */
const letters = (letter: string) =>
  fakeReward('letters', ({ text }) => [...text].filter((c) => c === letter).length);

const text = async (values: Plan['values'], letter = 'e', ask: object = {}) => {
  const reward = letters(letter);
  const plan = planOf({ values, maxTokens: 12, ...ask });
  const { choices, bugs } = await ran(fakeEngine({ endBias: -9 }).engine, plan, {
    rewardOf: () => reward,
  });
  return { ...choices[0]!, bugs, batches: reward.batches };
};

test('a value guide bends the answer to what its reward likes, and a negative weight away from it', async () => {
  const liked = await text([guide({ weight: 50 })]);
  expect(liked.text).toBe('e'.repeat(12));
  const disliked = await text([guide({ weight: -50 })]);
  expect(disliked.text).not.toContain('e');
  const plain = await text([]);
  expect(plain.text).not.toBe(liked.text);
});

test('its reward is asked about each token once, and its tokens are counted', async () => {
  const { batches, report } = await text([guide({ topK: 3 })]);
  expect(batches).toHaveLength(12);
  for (const [i, batch] of batches.entries())
    expect(batch.map(({ tokens }) => tokens.length)).toEqual(Array(3).fill(i + 1));
  const read = batches.flat().reduce((sum, { tokens }) => sum + tokens.length, 0);
  expect(report!.rewardTokens).toBe(read);
});

test('several bend the same law, the fewest tokens considered', async () => {
  const { draws, batches } = await text([guide({ topK: 9 }), guide({ topK: 4, weight: 2 })]);
  expect(batches.every((batch) => batch.length === 4)).toBe(true);
  for (const { guides } of draws) expect(guides).toHaveLength(2);
});

test.each([
  ['best_of_n', { n: 3, by: 'likelihood' }],
  ['beam', { width: 2 }],
  ['particles', { n: 2, lambda: 0 }],
])('%s may be guided by values', async (strategy, fields) => {
  const params = strategies[strategy]!.parse(fields, {
    maxTokens: 12,
    judged: false,
  });
  const { text: said, bugs } = await text([guide({ weight: 50 })], 'e', { strategy, params });
  expect(bugs).toEqual([]);
  expect(said).toBe('e'.repeat(12));
});
