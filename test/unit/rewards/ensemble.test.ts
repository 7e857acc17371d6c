import { expect, test } from 'vitest';
import { aggregate, ensemble, varianceOf, weightedSum } from '../../../src/rewards/ensemble.ts';
import type { Aggregation } from '../../../src/rewards/ensemble.ts';
import { normalised } from '../../../src/rewards/transforms.ts';
import { candidate, fakeMember } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'ensemble.json';
const how = (changes: Partial<Aggregation> = {}): Aggregation => ({
  aggregate: 'mean',
  lambda: 0.5,
  variance: 'population',
  ...changes,
});
const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));

interface Members {
  readonly scores_member_by_candidate: number[][];
}

/** Candidates whose text is their index, and members that look their scores up. */
function pool({ scores_member_by_candidate: scores }: Members, weights?: readonly number[]) {
  const members = scores.map((row, i) => ({
    reward: fakeMember(`m${i}`, ({ text }) => row[Number(text)]!),
    weight: weights?.[i] ?? 1,
  }));
  const batch = scores[0]!.map((_, i) => candidate(String(i)));
  return { members, batch };
}

test('every aggregate of the vector, through the reward that serves it', async () => {
  const { input, expected } = vectorCase<
    Members,
    { aggregate: Record<string, number[]>; best_index: Record<string, number> }
  >(FILE, 'three_members');
  const { members, batch } = pool(input);
  const cases: Record<string, Aggregation> = {
    mean: how(),
    median: how({ aggregate: 'median' }),
    min: how({ aggregate: 'min' }),
    max: how({ aggregate: 'max' }),
    'uwo_pop_lambda0.5': how({ aggregate: 'uwo' }),
    'uwo_pop_lambda1.0': how({ aggregate: 'uwo', lambda: 1 }),
    'uwo_unbiased_lambda0.5': how({ aggregate: 'uwo', variance: 'unbiased' }),
    'uwo_unbiased_lambda1.0': how({ aggregate: 'uwo', variance: 'unbiased', lambda: 1 }),
    'mean_minus_0.5std_pop': how({ aggregate: 'lcb' }),
  };
  for (const [name, kind] of Object.entries(cases)) {
    const scores = await ensemble(members, kind).score(batch);
    expected.aggregate[name]!.forEach((value, i) => expect(scores[i]!.value).toBeCloseTo(value, 9));
    expect(argmax(scores.map(({ value }) => value)), name).toBe(expected.best_index[name]);
  }
  const weighted = await ensemble(pool(input, [0.5, 0.3, 0.2]).members, how()).score(batch);
  const scaled = (scale: 'pool' | 'rank') =>
    members.map((one) => ({ ...one, reward: normalised(one.reward, scale) }));
  const z = scaled('pool');
  const others = {
    'weighted_mean_0.5_0.3_0.2': weighted,
    zscore_then_mean: await ensemble(z, how()).score(batch),
    zscore_then_min: await ensemble(z, how({ aggregate: 'min' })).score(batch),
    mean_rank: await ensemble(scaled('rank'), how()).score(batch),
  };
  for (const [name, scores] of Object.entries(others)) {
    expected.aggregate[name]!.forEach((value, i) => expect(scores[i]!.value).toBeCloseTo(value, 9));
    expect(argmax(scores.map(({ value }) => value)), name).toBe(expected.best_index[name]);
  }
  expect(Object.keys(expected.aggregate)).toHaveLength(15); // 13 above, and two variances
  const columns = batch.map((_, i) => input.scores_member_by_candidate.map((row) => row[i]!));
  for (const kind of ['population', 'unbiased'] as const)
    columns.forEach((values, i) =>
      expect(varianceOf(values, [1, 1, 1], kind)).toBeCloseTo(
        expected.aggregate[`variance_${kind}`]![i]!,
        9,
      ),
    );
});

test('the unbiased variance of a single member is nothing', async () => {
  const { input, expected } = vectorCase<Members, { uwo_lambda1: number[]; best_index: number }>(
    FILE,
    'single_member',
  );
  const { members, batch } = pool(input);
  const kind = how({ aggregate: 'uwo', variance: 'unbiased', lambda: 1 });
  const scores = await ensemble(members, kind).score(batch);
  expect(scores.map(({ value }) => value)).toEqual(expected.uwo_lambda1);
  expect(argmax(scores.map(({ value }) => value))).toBe(expected.best_index);
});

test('members named twice change nothing', async () => {
  const batch = ['a', 'bb', 'ccc', 'd'].map((text) => candidate(text));
  const members = ['x', 'y', 'z'].map((name) => ({ reward: fakeMember(name), weight: 1 }));
  for (const kind of ['mean', 'median', 'min', 'max', 'uwo', 'lcb'] as const) {
    const once = await ensemble(members, how({ aggregate: kind })).score(batch);
    const twice = await ensemble([...members, ...members], how({ aggregate: kind })).score(batch);
    once.forEach(({ value }, i) => expect(twice[i]!.value).toBeCloseTo(value, 12));
    const single = await ensemble(members.slice(0, 1), how({ aggregate: kind })).score(batch);
    const same = Array.from({ length: 3 }, () => members[0]!);
    const tripled = await ensemble(same, how({ aggregate: kind })).score(batch);
    single.forEach(({ value }, i) => expect(tripled[i]!.value).toBeCloseTo(value, 12));
  }
});

test('parts hold what each member said, and how far they disagree', async () => {
  const members = [
    { reward: fakeMember('a', () => 1), weight: 1 },
    { reward: fakeMember('b', () => 5), weight: 1 },
  ];
  const [score] = await ensemble(members, how()).score([candidate('x')]);
  expect(score).toEqual({ value: 3, parts: { a: 1, b: 5, disagreement: 2 }, tokens: 2 });
});

const broken = {
  name: 'broken',
  reads: 'prefix',
  score: () => Promise.reject(new Error('no')),
} as const;

test('a member that fails, or knows nothing, is left out', async () => {
  const members = [
    { reward: fakeMember('a', () => 1), weight: 1 },
    { reward: broken, weight: 1 },
    { reward: fakeMember('b', () => NaN), weight: 1 },
  ];
  const [score] = await ensemble(members, how()).score([candidate('x')]);
  expect(score).toMatchObject({ value: 1, parts: { a: 1 } });
  await expect(
    ensemble([{ reward: broken, weight: 1 }], how()).score([candidate('x')]),
  ).rejects.toThrow('no');
});

test('a candidate that one member cannot judge has no score, the others do', async () => {
  const odd = fakeMember('odd', ({ text }) => (text === 'x' ? NaN : 2));
  const members = [odd, fakeMember('even', () => 4)].map((reward) => ({ reward, weight: 1 }));
  for (const kind of ['mean', 'median', 'min', 'max', 'uwo', 'lcb'] as const) {
    const scores = await ensemble(members, how({ aggregate: kind, lambda: 0 })).score(
      ['x', 'y'].map((text) => candidate(text)),
    );
    expect(scores[0]!.value).toBeNaN();
    expect(scores[1]!.value).toBeGreaterThanOrEqual(2);
  }
});

test('a sum weighs its members, and goes on without those that fail', async () => {
  const members = [
    { reward: fakeMember('a', () => 1), weight: 2 },
    { reward: fakeMember('b', () => 5), weight: -0.5 },
  ];
  const [score] = await weightedSum(members).score([candidate('x')]);
  expect(score).toMatchObject({ value: -0.5, parts: { a: 1, b: 5 } });
  const failing = weightedSum([...members, { reward: broken, weight: 1 }]);
  expect(await failing.score([candidate('x')])).toMatchObject([{ value: -0.5 }]);
  const none = weightedSum([{ reward: broken, weight: 1 }]);
  await expect(none.score([candidate('x')])).rejects.toThrow('no');
});

test('an ensemble reads beginnings only if every member does', () => {
  const late = { ...fakeMember('late'), reads: 'complete' as const };
  const early = { reward: fakeMember('early'), weight: 1 };
  expect(ensemble([early], how()).reads).toBe('prefix');
  expect(weightedSum([early, { reward: late, weight: 1 }]).reads).toBe('complete');
  expect(aggregate([3, 1, 2, 10], [1, 1, 1, 1], how({ aggregate: 'median' }))).toBe(2.5);
});

test('a member may have any id', async () => {
  const members = [{ reward: fakeMember('__proto__', () => 2), weight: 1 }];
  for (const reward of [weightedSum(members), ensemble(members, how())]) {
    const [score] = await reward.score([candidate('x')]);
    expect(Object.entries(score!.parts)).toContainEqual(['__proto__', 2]);
  }
});
