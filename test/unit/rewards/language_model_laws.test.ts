/** What language models owe as rewards: the laws of every reward, and that a slow, broken or unwanted one holds nobody up. */

import { describe, expect, test } from 'vitest';
import type { Evaluation, Reward, RewardSource, RewardUse } from '../../../src/core/reward.ts';
import { scoreCache } from '../../../src/rewards/cached.ts';
import { rewardOf } from '../../../src/rewards/compose.ts';
import type { Reader } from '../../../src/rewards/reader.ts';
import { opened, type Loaded } from '../../../src/rewards/sources.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { turns } from '../../fakes/drive.ts';
import { loaded, sumOf, use } from '../../fakes/reward.ts';
import { fakeReader, fakeTextModel } from '../../fakes/text_model.ts';
import { fakeWriter } from '../../fakes/writer.ts';
import { BATCH, obeysRewardLaws } from '../../laws/reward.ts';

const by = (model = 'lm') => ({ model, reading: model });
const line = (text: string) => byteCodec.turn(text);
const question = { asks: byteCodec.encode('well?'), labels: [100, 101], values: [1, 0] };
const SOURCES: readonly RewardSource[] = [
  { kind: 'likelihood', by: by(), aggregate: 'sum' },
  { kind: 'likelihood', by: by(), aggregate: 'mean' },
  {
    kind: 'ratio',
    plus: by(),
    minus: by('other'),
    beta: 0.5,
    aggregate: 'min',
    delimiters: ['\n'],
    sigmoid: true,
  },
  {
    kind: 'follow_up',
    by: by(),
    positive: [line('good'), line('yes!')],
    negative: [line('bad')],
    reads: 'complete',
  },
  {
    kind: 'judge',
    by: by(),
    questions: [question],
    critique: null,
    calibration: null,
    reads: 'prefix',
  },
  {
    kind: 'judge', // a self-evaluation
    by: by(),
    questions: [question],
    critique: null,
    calibration: { scale: 2, shift: -0.5 },
    reads: 'prefix',
  },
  {
    kind: 'judge',
    by: by(),
    questions: [question],
    critique: { asks: byteCodec.encode('why?'), tokens: 6, n: 2, temperature: 1, seed: 4 },
    calibration: null,
    reads: 'prefix',
  },
];
const RATED = BATCH.map((one) => ({ ...one, readings: { lm: [0, 9], other: [0, 7] } }));

/** The laws' candidates have no readings. */
const rendered = (reward: Reward): Reward => ({
  ...reward,
  score: (batch) =>
    reward.score(
      batch.map((one) => ({ ...one, readings: RATED[0]!.readings })),
      undefined,
    ),
});

const withReaders = (cacheBytes: number, ...readers: readonly Reader[]): Loaded => ({
  ...loaded(),
  readers: new Map(readers.map((reader) => [reader.name, reader])),
  writers: new Map(readers.map(({ name }) => [name, fakeWriter().writer])),
  cache: scoreCache(cacheBytes),
});
const both = (): Reader[] => ['lm', 'other'].map((name) => fakeReader(fakeTextModel(name)));

for (const [i, source] of SOURCES.entries()) {
  const name = `of kind ${source.kind} (${i})`;
  obeysRewardLaws(name, () => rendered(opened(source, withReaders(0, ...both()))));
  obeysRewardLaws(`${name}, remembered`, () =>
    rendered(opened(source, withReaders(1 << 16, ...both()))),
  );
}

/** A reader that never gets its turn. */
const stuck = (timeoutMs: number): Reader => ({
  ...fakeReader(fakeTextModel('other')),
  timeoutMs,
  ask: () => new Promise(() => undefined),
});
const broken = fakeReader(
  fakeTextModel('other', () => {
    throw new Error('cannot read it');
  }),
);
const member = (id: string, source: RewardSource, changes: Partial<RewardUse> = {}) =>
  use(id, { source, ...changes });
const values = async (reward: Reward): Promise<number[]> =>
  (await reward.score(RATED)).map(({ value }) => value);
const on = (source: RewardSource, model: string): RewardSource =>
  JSON.parse(JSON.stringify(source).replaceAll('"lm"', `"${model}"`)) as RewardSource;

describe.each(SOURCES.map((source, i) => [`${source.kind} (${i})`, source] as const))(
  'a member of kind %s',
  (_name, source) => {
    const alone = sumOf(member('a', SOURCES[0]!));
    const beside = sumOf(member('a', SOURCES[0]!), member('b', on(source, 'other')));

    test.each([
      ['slow', stuck(5)],
      ['failed', broken],
    ] as const)('that is %s is left out and told of; the others go on', async (outcome, other) => {
      const told: Evaluation[] = [];
      const readers = withReaders(0, fakeReader(), other);
      const scores = await values(rewardOf(beside, readers, (one) => told.push(one)));
      expect(scores).toEqual(await values(rewardOf(alone, readers, () => undefined)));
      expect(told.map((one) => [one.member, one.outcome]).toSorted()).toEqual([
        ['a', 'ok'],
        ['b', outcome],
      ]);
      const only = rewardOf(sumOf(member('b', on(source, 'other'))), readers, () => undefined);
      await expect(only.score(RATED)).rejects.toThrow(
        outcome === 'slow' ? 'has not answered' : 'cannot read it',
      );
    });

    test('that is there twice changes no mean, median or minimum', async () => {
      for (const aggregate of ['mean', 'median', 'min'] as const) {
        const ensemble = {
          members: null,
          abstain: null,
          aggregate,
          lambda: 0,
          variance: 'population',
        } as const;
        const readers = withReaders(0, ...both());
        const of = (...ids: string[]) => {
          const plan = { ...sumOf(...ids.map((id) => member(id, source))), ensemble };
          return values(rewardOf(plan, readers, () => undefined));
        };
        const [once, twice] = [await of('a'), await of('a', 'b')];
        once.forEach((value, i) => expect(twice[i]).toBeCloseTo(value, 12));
      }
    });

    test('reads nothing more for a request that has gone, and goes on for the others', async () => {
      const model = fakeTextModel('lm');
      const reader = fakeReader(model, 1); // a run for each text
      const readers = withReaders(1 << 16, reader, fakeReader(fakeTextModel('other')));
      const abort = new AbortController();
      const gone = opened(source, readers).score(RATED, abort.signal);
      const stays = opened({ kind: 'likelihood', by: by(), aggregate: 'sum' }, readers);
      const others = stays.score(RATED.slice(0, 2));
      await turns(2);
      abort.abort(new Error('gone'));
      await expect(gone).rejects.toThrow('gone');
      await others;
      await turns(40);
      const fresh = fakeTextModel('lm');
      const again = withReaders(0, fakeReader(fresh, 1), fakeReader(fakeTextModel('other')));
      const whole = await opened(source, again).score(RATED);
      expect(model.runs.length).toBeLessThan(fresh.runs.length + 2);
      // What was remembered meanwhile is right.
      expect(await values(opened(source, readers))).toEqual(whole.map(({ value }) => value));
    });
  },
);

test('a judge of pairs that is slow, broken or unwanted ends alike', async () => {
  const source: RewardSource = {
    kind: 'pairwise',
    by: by('other'),
    question: '{other}?',
    labels: [100, 101],
    aggregate: 'knockout',
    average: 'probability',
    reads: 'complete',
  };
  for (const [outcome, reader] of [
    ['slow', stuck(5)],
    ['failed', broken],
  ] as const) {
    const told: Evaluation[] = [];
    const plan = sumOf(member('a', SOURCES[0]!), member('b', source));
    await rewardOf(plan, withReaders(0, fakeReader(), reader), (one) => told.push(one)).score(
      RATED,
    );
    expect(told.find((one) => one.member === 'b')!.outcome).toBe(outcome);
  }
  const model = fakeTextModel('other');
  const abort = new AbortController();
  const readers = withReaders(0, fakeReader(model));
  const gone = opened(source, readers).score(RATED, abort.signal);
  await turns(2);
  abort.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  const before = model.runs.length;
  await turns(20);
  expect(model.runs.length).toBeLessThanOrEqual(before + 1); // the match that was on
});
