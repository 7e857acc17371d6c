import { afterAll, expect, test } from 'vitest';
import type { Ensemble, RewardPlan } from '../../../src/core/reward.ts';
import { batched } from '../../../src/rewards/batched.ts';
import { cached, scoreCache } from '../../../src/rewards/cached.ts';
import { numberCheck, schemaCheck } from '../../../src/rewards/check.ts';
import { lengthReward, repetitionReward } from '../../../src/rewards/length.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { stepped } from '../../../src/rewards/steps.ts';
import { timed } from '../../../src/rewards/timed.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { asking, remote } from '../../fakes/remote.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';
import { BATCH, obeysCombinatorLaws, obeysRewardLaws } from '../../laws/reward.ts';
import { idleTurns } from '../../fakes/turns.ts';

const model = {
  name: 'rm',
  context: 64,
  missing: (row: readonly number[]) => row.length,
  readOn: () => false,
  score: (rows: readonly (readonly number[])[]) =>
    Float32Array.from(rows, (row) => row.reduce((sum, token, i) => sum + token * (i + 1), 0)),
};
const head = (runTokens = 24) =>
  scalarHead({ model, codec: byteCodec, reads: 'prefix', runTokens, turns: idleTurns() });
// A scalar head reads the prompt that was rendered for it.
const rendered = (reward: ReturnType<typeof head>) => ({
  ...reward,
  score: (batch: typeof BATCH) =>
    reward.score(batch.map((one) => ({ ...one, readings: { rm: [0, 9] } }))),
});

obeysRewardLaws('of a scalar head', () => rendered(head()));
obeysRewardLaws('of a scalar head, batched and remembered', () =>
  rendered(cached(batched(head()), scoreCache(1 << 16))),
);
obeysRewardLaws('of a scalar head, with a clock', () => timed(rendered(head()), 60_000));
obeysRewardLaws('of a number', () =>
  numberCheck({ kind: 'number', answer: '44', extract: { extract: 'last_number' } }),
);
obeysRewardLaws('of a schema', () => schemaCheck({ kind: 'schema', schema: { type: 'object' } }));
obeysRewardLaws('of length', () => lengthReward({ kind: 'length', mode: 'over', target: 3 }));
obeysRewardLaws('of repetition', repetitionReward);
obeysRewardLaws('of steps', () =>
  stepped('s', fakeReward('r'), { until: ['\n'], most: 8, transform: null, aggregate: 'mean' }),
);
const server = await remote();
afterAll(() => server[Symbol.asyncDispose]());
obeysRewardLaws('of another server', () => asking(server.url, { batch: 3 }));

const three = [use('rm-0'), use('rm-1'), use('rm-2')];
const how = (changes: Partial<Ensemble>): RewardPlan => ({
  ...sumOf(...three),
  ensemble: {
    members: null,
    abstain: null,
    aggregate: 'mean',
    lambda: 0.5,
    variance: 'population',
    ...changes,
  },
});
const AGGREGATES = ['mean', 'median', 'min', 'max', 'uwo', 'lcb'] as const;
const pooled = three.map((one) => ({ ...one, scale: 'pool' as const }));
const reference = { quantile: 0.85 };

obeysCombinatorLaws('sum', sumOf(...three));
for (const aggregate of AGGREGATES) obeysCombinatorLaws(aggregate, how({ aggregate }));
obeysCombinatorLaws('of pooled members', { ...how({}), uses: pooled });
obeysCombinatorLaws(
  'of an ideal point',
  how({ aggregate: 'distance', ideal: { 'rm-0': 0.5, 'rm-1': -0.2, 'rm-2': 1 } }),
);
obeysCombinatorLaws('of ranked members', {
  ...how({}),
  uses: three.map((one) => ({ ...one, scale: 'rank' as const })),
});
obeysCombinatorLaws(
  'of win rates',
  sumOf(...three.map((one) => ({ ...one, transform: { kind: 'win_rate' } as const }))),
);
obeysCombinatorLaws('of some members', how({ members: ['rm-0', 'rm-2'] }));
obeysCombinatorLaws(
  'of log-sigmoids',
  sumOf(
    ...three.map((one) => ({ ...one, transform: { kind: 'log_sigmoid', reference } as const })),
  ),
);
obeysCombinatorLaws('of clipped and capped members', {
  ...sumOf(
    ...three.map((one) => ({ ...one, cap: 0.5, transform: { kind: 'clip', eta: 1 } as const })),
  ),
  length: { mode: 'over', target: 3, lambda: 0.1, repetition: 1 },
});
obeysCombinatorLaws('of multipliers', {
  ...sumOf(...three.map((one) => ({ ...one, cap: 0.2 }))),
  lagrange: { rate: 0.5, steps: 4 },
});
obeysCombinatorLaws(
  'with a bound',
  { ...sumOf(...three), constraints: [{ member: 'rm-2', min: 0, max: Infinity }] },
  false,
);

test.each(['mean', 'median', 'min'] as const)('members twice change no %s', async (aggregate) => {
  const twice = three.map((one) => ({ ...one, id: `${one.id} again` }));
  const models = loaded(...['rm-0', 'rm-1', 'rm-2'].map((id) => fakeReward(id)));
  const { ensemble } = how({ aggregate });
  const once = await composed({ ...sumOf(...three), ensemble }, models).score(BATCH);
  const both = await composed({ ...sumOf(...three, ...twice), ensemble }, models).score(BATCH);
  once.forEach(({ value }, i) => expect(both[i]!.value).toBeCloseTo(value, 12));
});

test('what is remembered is what was said', async () => {
  const cache = scoreCache(1 << 16);
  const fresh = await rendered(head()).score(BATCH);
  const reward = rendered(cached(head(), cache));
  for (let i = 0; i < 2; i++)
    expect((await reward.score(BATCH)).map(({ value }) => value)).toEqual(
      fresh.map(({ value }) => value),
    );
});
