import { expect, test } from 'vitest';
import type { Ensemble, Evaluation, Reward } from '../../../src/core/reward.ts';
import { abstains } from '../../../src/core/reward.ts';
import { rewardOf } from '../../../src/rewards/compose.ts';
import { SlowReward } from '../../../src/rewards/timed.ts';
import { candidate, composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';

const batch = ['a', 'bb', 'ccc'].map((text) => candidate(text));
const length = (name: string, factor = 1) => fakeReward(name, ({ text }) => factor * text.length);
const MEAN: Ensemble = {
  members: null,
  abstain: null,
  aggregate: 'mean',
  lambda: 0,
  variance: 'population',
};

test('an ensemble of some members has the others added to it', async () => {
  const plan = {
    ...sumOf(use('a'), use('b'), use('c', { weight: -2 })),
    ensemble: { ...MEAN, members: ['a', 'b'] },
  };
  const models = loaded(length('a'), length('b', 3), length('c', 10));
  const scores = await composed(plan, models).score(batch);
  expect(scores.map(({ value }) => value)).toEqual([-18, -36, -54]);
  expect(scores[0]!.parts).toEqual({ a: 1, b: 3, c: 10, disagreement: 1 });
});

test('a member that is weighed and bounded is asked once, and its tokens counted once', async () => {
  const model = length('a');
  const constraints = [{ member: 'a', min: 2, max: Infinity }];
  const scores = await composed({ ...sumOf(use('a')), constraints }, loaded(model)).score(batch);
  expect(model.batches).toHaveLength(1);
  expect(scores.map(({ tokens }) => tokens)).toEqual([1, 2, 3]);
  expect(scores[0]!.value).toBeLessThan(scores[1]!.value);
});

test('one source under two ids is two members', async () => {
  const source = { kind: 'model', model: 'a' } as const;
  const plan = sumOf(use('one', { source }), use('two', { source, cap: 2 }));
  const scores = await composed(plan, loaded(length('a'))).score(batch);
  expect(scores.map(({ value }) => value)).toEqual([2, 4, 5]);
  expect(scores[2]!.parts).toEqual({ one: 3, two: 3 });
});

test('multipliers move towards what the candidates lack', async () => {
  const uses = [use('a', { cap: 4 }), use('b', { cap: 1 }), use('task', { weight: 2 })];
  const models = loaded(length('a'), length('b', 3), length('task'));
  const lagrange = { rate: 1, steps: 5 };
  const scores = await composed({ ...sumOf(...uses), lagrange }, models).score(batch);
  const { parts, value } = scores[0]!;
  expect(parts['a.multiplier']).toBeGreaterThan(0.99); // means: 2 against 4, 6 against 1
  expect(parts['b.multiplier']).toBeLessThan(0.01);
  const sum = parts['a.multiplier']! * (1 - 4) + parts['b.multiplier']! * (3 - 1) + 2;
  expect(value).toBeCloseTo(sum, 12);
});

test('who judged, how long and whether it did is told', async () => {
  let clock = 0;
  const slow: Reward = {
    name: 'slow',
    reads: 'prefix',
    score: () => Promise.reject(new SlowReward('late')),
  };
  const silent = fakeReward('silent', () => NaN);
  const told: Evaluation[] = [];
  const plan = sumOf(
    use('x', { source: { kind: 'model', model: 'a' } }),
    use('slow'),
    use('silent'),
  );
  const known = { ...loaded(length('a'), slow, silent), now: () => clock++ };
  const scores = await rewardOf(plan, known, (one) => told.push(one)).score(batch);
  expect(scores.map(({ value }) => value)).toEqual([1, 2, 3]);
  expect(told).toHaveLength(3);
  expect(told).toContainEqual(expect.objectContaining({ member: 'x', reward: 'a', outcome: 'ok' }));
  const how = Object.fromEntries(told.map(({ member, outcome }) => [member, outcome]));
  expect(how).toEqual({ x: 'ok', slow: 'slow', silent: 'failed' });
  for (const { seconds } of told) expect(seconds).toBeGreaterThan(0);
});

test('a bound that cannot be checked fails the request rather than pass everything', async () => {
  const broken: Reward = {
    name: 'safe',
    reads: 'prefix',
    score: () => Promise.reject(new Error('gone')),
  };
  const plan = {
    ...sumOf(use('a'), use('safe', { weight: 0 })),
    constraints: [{ member: 'safe', min: 0, max: Infinity }],
  };
  await expect(composed(plan, loaded(length('a'), broken)).score(batch)).rejects.toThrow('gone');
});

test('an ensemble abstains where its members disagree too much on every candidate', async () => {
  const plan = { ...sumOf(use('a'), use('b')), ensemble: { ...MEAN, abstain: 0.9 } };
  const scores = await composed(plan, loaded(length('a'), length('b', 3))).score(batch);
  expect(scores.map(({ parts }) => parts['disagreement'])).toEqual([1, 2, 3]);
  expect(abstains(scores, plan.ensemble)).toBe(true);
  expect(abstains(scores, { abstain: 1 })).toBe(false);
  expect(abstains(scores, { abstain: null })).toBe(false);
  expect(abstains([], { abstain: 0 })).toBe(false);
});
