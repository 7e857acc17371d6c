/** What every reward owes whoever asks it, and what every combination of rewards owes its request: run these on each new one. */

import { describe, expect, test } from 'vitest';
import type { Candidate, Reward, RewardPlan, Score } from '../../src/core/reward.ts';
import { best } from '../../src/strategies/select.ts';
import type { Branch } from '../../src/core/tree.ts';
import { candidate, composed, fakeReward, loaded } from '../fakes/reward.ts';

const TEXTS = ['', 'a', 'so 44.', '{"n": 4}', 'one\ntwo\nthree', 'aaaaaaaaaaaaaaaa', '\u{1F600}'];
export const BATCH: readonly Candidate[] = TEXTS.map((text, branch) =>
  candidate(text, { prompt: 'P', branch }),
);
const values = (scores: readonly Score[]): number[] => scores.map(({ value }) => value);
const close = (found: readonly number[], wanted: readonly number[]): void => {
  expect(found).toHaveLength(wanted.length);
  wanted.forEach((value, i) =>
    Number.isNaN(value) ? expect(found[i]).toBeNaN() : expect(found[i]).toBeCloseTo(value, 9),
  );
};

/** A source judges each candidate by itself: how it is asked changes nothing. */
export function obeysRewardLaws(name: string, make: () => Reward): void {
  describe(`the reward ${name}`, () => {
    test('says the same alone, in a batch, in another order and again', async () => {
      const all = values(await make().score(BATCH));
      const reward = make();
      for (const [i, one] of BATCH.entries()) close(values(await reward.score([one])), [all[i]!]);
      close(values(await reward.score(BATCH.toReversed())), all.toReversed());
      close(values(await reward.score([...BATCH, ...BATCH])), [...all, ...all]);
      const both = await Promise.all([reward.score(BATCH), reward.score(BATCH.slice(2))]);
      close(values(both[0]), all);
      close(values(both[1]), all.slice(2));
    });

    test('has one score for each candidate, and none for none', async () => {
      expect(await make().score([])).toEqual([]);
      for (const { value, parts, tokens } of await make().score(BATCH)) {
        expect(typeof value).toBe('number');
        expect(parts).toBeTypeOf('object');
        expect(tokens ?? 0).toBeGreaterThanOrEqual(0);
      }
    });
  });
}

const FAILING = 'rm-2';

/**
 * A combination of the models rm-0, rm-1 and rm-2.
 * @param goesOn whether it has scores left where rm-2 is gone
 */
export function obeysCombinatorLaws(name: string, plan: RewardPlan, goesOn = true): void {
  const models = (broken?: (candidate: Candidate) => number): Reward[] =>
    ['rm-0', 'rm-1', FAILING].map((id) => fakeReward(id, id === FAILING ? broken : undefined));
  const ask = (models: readonly Reward[], batch = BATCH) =>
    composed(plan, loaded(...models)).score(batch);

  describe(`the combination ${name}`, () => {
    test('keeps the order of its candidates, whatever it is', async () => {
      const all = values(await ask(models()));
      close(values(await ask(models(), BATCH.toReversed())), all.toReversed());
    });

    test('asks each member once about a batch', async () => {
      const known = ['rm-0', 'rm-1', FAILING].map((id) => fakeReward(id));
      await ask(known);
      for (const { batches } of known) expect(batches.length).toBeLessThanOrEqual(1);
    });

    test('never lets a candidate win that a member could not judge', async () => {
      for (const odd of BATCH.keys()) {
        const scores = await ask(models(({ branch }) => (branch === odd ? NaN : 0.5)));
        expect(scores[odd]!.value).toBeNaN();
        const branches = BATCH.map(({ branch: id }) => ({ id }) as Branch);
        for (const { id } of best(branches, scores, BATCH.length)) expect(id).not.toBe(odd);
      }
    });

    test('goes on without a member that fails or knows nothing', async () => {
      const gone: Reward = {
        name: FAILING,
        reads: 'prefix',
        score: () => Promise.reject(new Error('gone')),
      };
      const without = ask([...models().slice(0, 2), gone]);
      if (!goesOn) return expect(without).rejects.toThrow('gone');
      const scores = await without;
      for (const { value, parts } of scores) {
        expect(value).toBeTypeOf('number');
        expect(value).not.toBeNaN();
        expect(parts).not.toHaveProperty(FAILING);
      }
      close(values(await ask(models(() => NaN))), values(scores));
    });

    test('fails only where nothing is left', async () => {
      const none = ['rm-0', 'rm-1', FAILING].map((id) => ({
        name: id,
        reads: 'prefix' as const,
        score: () => Promise.reject(new Error(`${id} is gone`)),
      }));
      await expect(ask(none)).rejects.toThrow('gone');
    });
  });
}
