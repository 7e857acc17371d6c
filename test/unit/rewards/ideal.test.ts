/** Ideal points: whom an answer suits, by where its scores lie. */

import { expect, test } from 'vitest';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { parseRewards } from '../../../src/plan/rewards.ts';
import { bradleyTerry } from '../../../src/rewards/tournament.ts';
import { catalog } from '../../fakes/catalog.ts';
import { candidate, composed, fakeReward, loaded } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'personal_multi.json';
type Point = readonly [number, number];
const named = ([a, b]: Point) => ({ a, b });

/** What the wire makes of prototypes and a user's shares. */
function planOf(aggregate: string, prototypes: readonly Point[], user?: readonly number[]) {
  const rewards = [
    { model: 'rm-happy-a', id: 'a' },
    { model: 'rm-happy-a', id: 'b' },
  ];
  const ensemble = { aggregate, normalize: 'none', prototypes: prototypes.map(named), user };
  return parseRewards({ rewards, ensemble } as never, catalog)!.plan;
}

/** What that plan says of answers whose scores are these. */
async function values(
  points: readonly Point[],
  ...plan: Parameters<typeof planOf>
): Promise<number[]> {
  const { uses, ...rest } = planOf(...plan);
  const models = ['a', 'b'].map((id, axis) =>
    fakeReward(id, ({ text }) => points[Number(text)]![axis]!),
  );
  const sources = uses.map((use) => ({
    ...use,
    source: { kind: 'model', model: use.id } as const,
  }));
  const reward = composed({ ...rest, uses: sources }, loaded(...models));
  const scores = await reward.score(points.map((_, i) => candidate(String(i))));
  return scores.map(({ value }) => value);
}

test('vector pal_distance: the ideal is a mixture of prototypes, and near is good', async () => {
  interface In {
    readonly item: Point;
    readonly prototypes: readonly Point[];
    readonly user_weights: readonly number[];
  }
  interface Out {
    readonly ideal_point: Point;
    readonly reward_neg_distance: number;
    readonly reward_neg_sq: number;
    readonly cosine: number;
  }
  const { input, expected } = vectorCase<In, Out>(FILE, 'pal_distance');
  const { item, prototypes, user_weights: user } = input;
  expect(planOf('distance', prototypes, user).ensemble!.ideal).toEqual(named(expected.ideal_point));
  const [distance] = await values([item], 'distance', prototypes, user);
  const [squared] = await values([item], 'squared_distance', prototypes, user);
  const [cosine] = await values([item], 'cosine', prototypes, user);
  expect(distance).toBeCloseTo(expected.reward_neg_distance, 9);
  expect(squared).toBeCloseTo(expected.reward_neg_sq, 9);
  expect(cosine).toBeCloseTo(expected.cosine, 9);
});

test('vector pal_pair_prob: who is preferred, by the nearness of both', async () => {
  const { input, expected } = vectorCase<
    { left: Point; right: Point; ideal: Point },
    { p_left: number }
  >(FILE, 'pal_pair_prob');
  const near = await values([input.left, input.right], 'distance', [input.ideal]);
  expect(bradleyTerry(near)[0]![1]).toBeCloseTo(expected.p_left, 9);
});

test('shares are of their sum; without shares all prototypes count alike', () => {
  const prototypes: readonly Point[] = [
    [0, 4],
    [4, 0],
  ];
  expect(planOf('cosine', prototypes, [3, 1]).ensemble!.ideal).toEqual({ a: 1, b: 3 });
  expect(planOf('cosine', prototypes).ensemble!.ideal).toEqual({ a: 2, b: 2 });
});

test.each([
  ['distance', { prototypes: null }, 'prototypes'],
  ['mean', { prototypes: [{ a: 1 }] }, 'prototypes'],
  ['distance', { prototypes: [] }, 'prototypes'],
  ['distance', { prototypes: [{ c: 1 }] }, 'prototypes[0]'],
  ['distance', { prototypes: [{ a: 'x' }] }, 'prototypes[0].a'],
  ['distance', { prototypes: [{ a: 1 }], user: [1, 1] }, 'user'],
  ['distance', { prototypes: [{ a: 1 }], user: [0] }, 'user'],
  ['distance', { prototypes: [{ a: 1 }], user: [-1] }, 'user[0]'],
  ['mean', { user: [1] }, 'user'],
])('%s with %o is refused at %s', (aggregate, fields, at) => {
  const ensemble = { aggregate, normalize: 'none', ...fields };
  const alignment = {
    strategy: { type: 'best_of_n', n: 4 },
    rewards: [{ model: 'rm-happy-a', id: 'a' }],
    ensemble,
  };
  const ask = () =>
    planner(catalog).completion(
      { prompt: 'ab', max_tokens: 5, alignment },
      { id: '', seed: 1, grant: ANYTHING, socket: false, request: 'req_1' },
    );
  expect(ask).toThrow(`alignment.ensemble.${at} `);
});
