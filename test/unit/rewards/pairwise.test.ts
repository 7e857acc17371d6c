/** Judges of pairs: what a tournament makes of a win matrix, and what a language model is asked for one. */

import { describe, expect, test } from 'vitest';
import type { Candidate, RewardSource } from '../../../src/core/reward.ts';
import { bothOrders, pairwise } from '../../../src/rewards/pairwise.ts';
import {
  bradleyTerry,
  copeland,
  knockout,
  lottery,
  winRates,
} from '../../../src/rewards/tournament.ts';
import { transformed } from '../../../src/rewards/transforms.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { candidate, fakeMember } from '../../fakes/reward.ts';
import { fakeReader, fakeTextModel, type Opinion } from '../../fakes/text_model.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'pairwise_judge.json';
const close = (found: readonly number[], wanted: readonly number[], digits = 9): void => {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, digits));
};
const argmax = (values: readonly number[]): number => values.indexOf(Math.max(...values));

interface Cyclic {
  readonly mean_win_rate: number[];
  readonly copeland_wins: number[];
  readonly nash_maximal_lottery: number[];
  readonly knockout_order_0_1_2: string;
  readonly knockout_winner: number;
  readonly borda_winner: number;
}
const cyclic = vectorCase<{ win_prob: number[][] }, Cyclic>(FILE, 'cyclic_preference');
const wins = cyclic.input.win_prob;

describe('a tournament', () => {
  test('vector cyclic_preference: everybody beats somebody', async () => {
    const { expected } = cyclic;
    close(winRates(wins), expected.mean_win_rate);
    expect(copeland(wins)).toEqual(expected.copeland_wins);
    close(lottery(wins), expected.nash_maximal_lottery);
    expect(argmax(winRates(wins))).toBe(expected.borda_winner);
    const matches: string[] = [];
    const places = await knockout(3, async (i, j) => {
      const [won, lost] = wins[i]![j]! >= 1 / 2 ? [i, j] : [j, i];
      matches.push(`${won} beats ${lost}`);
      return won === i;
    });
    expect(`${matches.join(', then ')} -> ${argmax(places)}`).toBe(expected.knockout_order_0_1_2);
    expect(argmax(places)).toBe(expected.knockout_winner);
  });

  test('vector bradley_terry_matrix, as a table and as the transform of a member', async () => {
    const { input, expected } = vectorCase<
      { rewards: number[] },
      { win_prob: number[][]; mean_win_vs_pool: number[] }
    >(FILE, 'bradley_terry_matrix');
    bradleyTerry(input.rewards).forEach((row, i) => close(row, expected.win_prob[i]!));
    const member = fakeMember('r', ({ text }) => input.rewards[Number(text)] ?? NaN);
    const reward = transformed(member, { kind: 'win_rate' });
    const scores = await reward.score(['0', 'x', '1', '2'].map((text) => candidate(text)));
    expect(scores[1]!.value).toBeNaN(); // it plays no match, and the others none with it
    close(
      scores.map(({ value }) => value).filter((value) => !Number.isNaN(value)),
      expected.mean_win_vs_pool,
    );
    expect(scores[0]!.parts).toEqual({ r: 1 });
  });

  test('a lottery that nothing beats, whatever the preferences', () => {
    let state = 1;
    const u = (): number => (state = (Math.imul(state, 48271) >>> 0) % 2147483647) / 2147483647;
    for (let n = 1; n <= 24; n++) {
      const table = Array.from({ length: n }, () => Array.from({ length: n }, () => 1 / 2));
      for (let i = 0; i < n; i++)
        for (let j = 0; j < i; j++) {
          const p = n % 3 === 0 ? Math.round(u() * 4) / 4 : u(); // with draws and certain wins too
          [table[i]![j], table[j]![i]] = [p, 1 - p];
        }
      const mixed = lottery(table);
      expect(mixed.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 9);
      for (const p of mixed) expect(p).toBeGreaterThanOrEqual(-1e-9);
      for (let j = 0; j < n; j++) {
        const won = mixed.reduce((sum, p, i) => sum + p * table[i]![j]!, 0);
        expect(won).toBeGreaterThanOrEqual(1 / 2 - 1e-9);
      }
    }
  });

  test('whoever beats all the others has the whole lottery; one alone has nobody to lose to', () => {
    const best = [
      [0.5, 0.6, 0.9],
      [0.4, 0.5, 0.1],
      [0.1, 0.9, 0.5],
    ];
    close(lottery(best), [1, 0, 0]);
    expect([lottery([[0.5]]), winRates([[0.5]]), copeland([[0.5]])]).toEqual([[1], [0.5], [0]]);
  });
});

test('vector position_debias: both orders, by probability and by log-odds', () => {
  const { input, expected } = vectorCase<
    { p_first_wins_order_AB: number; p_first_wins_order_BA: number },
    { p_A_beats_B: number; logit_average: number; consistent: boolean }
  >(FILE, 'position_debias');
  const { p_first_wins_order_AB: ab, p_first_wins_order_BA: ba } = input;
  const plain = bothOrders(ab, ba, 'probability');
  expect(plain.probability).toBeCloseTo(expected.p_A_beats_B, 9);
  expect(plain.consistent).toBe(expected.consistent);
  expect(bothOrders(ab, ba, 'logit').probability).toBeCloseTo(expected.logit_average, 9);
  expect(bothOrders(0.75, 0.75, 'probability')).toEqual({ probability: 0.5, consistent: false });
});

describe('a judge of pairs', () => {
  type Pairwise = Extract<RewardSource, { kind: 'pairwise' }>;
  const PROMPT = [0, 9, 9];
  const [FIRST, SECOND] = [100, 101];
  const source = (changes: Partial<Pairwise> = {}): Pairwise => ({
    kind: 'pairwise',
    by: { model: 'lm', reading: 'lm' },
    question: 'or {other}?',
    labels: [FIRST, SECOND],
    aggregate: 'win_rate',
    average: 'probability',
    reads: 'complete',
    ...changes,
  });
  const texts = 'abcdefgh';
  const answers = (n: number, prompt: readonly number[] = PROMPT): Candidate[] =>
    texts
      .slice(0, n)
      .split('')
      .map((text) => candidate(text, { readings: { lm: prompt } }));

  /** A model with these preferences of answers a, b, c, and a liking for the first place, in log-odds. */
  function judging(table: readonly (readonly number[])[], bias = 0, context = 256) {
    const asked: string[] = [];
    const opinion: Opinion = ({ tokens }, { token }) => {
      const [, first, second] = /(.)or (.)\?$/.exec(byteCodec.decode(tokens))!;
      if (token === FIRST) asked.push(`${first}${second}`);
      const p = table[texts.indexOf(first!)]![texts.indexOf(second!)]!;
      return token === FIRST ? Math.log(p) + bias : Math.log(1 - p);
    };
    return { asked, reader: fakeReader(fakeTextModel('lm', opinion, context)) };
  }

  test.each([
    ['win_rate', cyclic.expected.mean_win_rate],
    ['copeland', cyclic.expected.copeland_wins],
    ['lottery', cyclic.expected.nash_maximal_lottery],
    ['knockout', [1, 0, 2]],
  ] as const)('makes %s of its preferences', async (aggregate, expected) => {
    const { reader } = judging(wins);
    const scores = await pairwise(reader, source({ aggregate })).score(answers(3));
    close(
      scores.map(({ value }) => value),
      expected,
      6,
    );
    for (const { parts, tokens } of scores) {
      expect(parts).toEqual({ consistent: 1 });
      expect(tokens).toBeGreaterThanOrEqual(0);
    }
  });

  test('asks about every pair in both orders; in a knockout only about its matches', async () => {
    const all = judging(wins);
    await pairwise(all.reader, source()).score(answers(3));
    expect(all.asked.toSorted()).toEqual(['ab', 'ac', 'ba', 'bc', 'ca', 'cb']);
    const out = judging(wins);
    await pairwise(out.reader, source({ aggregate: 'knockout' })).score(answers(3));
    expect(out.asked).toEqual(['ab', 'ba', 'ac', 'ca']);
  });

  test('a liking for a place changes no order of log-odds, and is told', async () => {
    const fair = await pairwise(judging(wins).reader, source()).score(answers(3));
    const partial = pairwise(judging(wins, 3).reader, source({ average: 'logit' }));
    const scores = await partial.score(answers(3));
    close(
      scores.map(({ value }) => value),
      fair.map(({ value }) => value),
      6,
    );
    for (const { parts } of scores) expect(parts['consistent']).toBe(0);
  });

  test('compares answers to one prompt only; one alone is neither better nor worse', async () => {
    const { asked, reader } = judging(wins);
    const [a, b] = answers(2);
    const [c] = answers(3, [0, 7]).slice(2);
    const scores = await pairwise(reader, source()).score([a!, c!, b!]);
    close(
      scores.map(({ value }) => value),
      [0.7, 0.5, 0.3],
      6,
    );
    expect(asked.toSorted()).toEqual(['ab', 'ba']);
  });

  test('an answer that fits beside no other has no score, and costs the others nothing', async () => {
    const long = candidate('x'.repeat(200), { readings: { lm: PROMPT } });
    const { reader } = judging(wins, 0, 100);
    const scores = await pairwise(reader, source()).score([...answers(2), long]);
    expect(scores[2]!.value).toBeNaN();
    expect(scores[0]!.value).toBeGreaterThan(scores[1]!.value);
  });

  test('fails where its model does', async () => {
    const broken = fakeTextModel('lm', () => {
      throw new Error('cannot read it');
    });
    const reward = pairwise(fakeReader(broken), source());
    await expect(reward.score(answers(2))).rejects.toThrow('cannot read it');
  });
});
