import { describe, expect, test } from 'vitest';
import { logSigmoid, quantile, sigmoid } from '../../../src/core/math.ts';
import { constrained, violation } from '../../../src/rewards/constraints.ts';
import { dualStep } from '../../../src/rewards/lagrange.ts';
import { lengthRuled, priced, repetition } from '../../../src/rewards/length.ts';
import {
  capped,
  clip,
  deltas,
  normalised,
  scaleOf,
  transformed,
} from '../../../src/rewards/transforms.ts';
import { candidate, fakeMember, composed, loaded, sumOf, use } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'transforms.json';
/** A reward of listed scores, for candidates whose text is their index. */
const listed = (name: string, scores: readonly number[]) =>
  fakeMember(name, ({ text }) => scores[Number(text)]!);
const indices = (n: number) => Array.from({ length: n }, (_, i) => candidate(String(i)));
const close = (found: readonly number[], expected: readonly number[]): void => {
  expect(found).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 9));
};

describe('log-sigmoid', () => {
  test('sums are log-probabilities of being good in all, and choose otherwise than raw sums', async () => {
    interface Out {
      u_helpful: number[];
      u_harmless: number[];
      sum: number[];
      prob_good_in_both: number[];
      raw_sum: number[];
      best_lsc: number;
      best_raw: number;
    }
    const { input, expected } = vectorCase<
      { helpful: number[]; harmless: number[]; ref_helpful: number; ref_harmless: number },
      Out
    >(FILE, 'lsc_sum');
    const models = loaded(listed('helpful', input.helpful), listed('harmless', input.harmless));
    const lsc = (reference: number) => ({ transform: { kind: 'log_sigmoid', reference } as const });
    const both = [use('helpful', lsc(input.ref_helpful)), use('harmless', lsc(input.ref_harmless))];
    const values = async (...uses: readonly ReturnType<typeof use>[]) =>
      (await composed(sumOf(...uses), models).score(indices(3))).map(({ value }) => value);
    close(await values(both[0]!), expected.u_helpful);
    close(await values(both[1]!), expected.u_harmless);
    const sums = await values(...both);
    close(sums, expected.sum);
    close(sums.map(Math.exp), expected.prob_good_in_both);
    const raw = await values(use('helpful'), use('harmless'));
    close(raw, expected.raw_sum);
    expect(sums.indexOf(Math.max(...sums))).toBe(expected.best_lsc);
    expect(raw.indexOf(Math.max(...raw))).toBe(expected.best_raw);
  });

  test('is finite far out on both sides', () => {
    expect(logSigmoid(-800)).toBe(-800);
    expect(logSigmoid(800)).toBeCloseTo(0, 12);
    expect(logSigmoid(0)).toBeCloseTo(Math.log(0.5), 12);
  });

  test('measures against a quantile of the candidates themselves, and shows it', async () => {
    const { input, expected } = vectorCase<
      { base_sample_rewards: number[]; quantile: number },
      { reference: number; median: number; mean: number }
    >(FILE, 'reference_quantile');
    const rewards = input.base_sample_rewards;
    expect(quantile(rewards.toReversed(), input.quantile)).toBeCloseTo(expected.reference, 9);
    expect(quantile(rewards, 0.5)).toBeCloseTo(expected.median, 9);
    expect(scaleOf(rewards).mean).toBeCloseTo(expected.mean, 9);
    const reference = { quantile: input.quantile };
    const reward = transformed(listed('r', rewards), { kind: 'log_sigmoid', reference });
    const scores = await reward.score(indices(rewards.length));
    scores.forEach(({ value, parts }, i) => {
      expect(value).toBeCloseTo(logSigmoid(rewards[i]! - expected.reference), 9);
      expect(parts).toMatchObject({ r: rewards[i] });
      expect(parts['r.reference']).toBeCloseTo(expected.reference, 9);
    });
    expect(quantile([NaN], 0.5)).toBeNaN();
  });
});

test('length rules', async () => {
  const { input, expected } = vectorCase<
    { reward: number[]; length: number[]; lambda_per_token: number; target: number },
    { linear: number[]; over_target_only: number[]; ratio: number[] }
  >(FILE, 'length_regularised');
  const { target, lambda_per_token: lambda } = input;
  const batch = input.length.map((n, i) =>
    candidate(String(i), { tokens: Array.from({ length: n }, (_, t) => t) }),
  );
  for (const [mode, values] of [
    ['linear', expected.linear],
    ['over', expected.over_target_only],
    ['ratio', expected.ratio],
  ] as const) {
    const rule = { mode, target, lambda, repetition: 1 };
    const scores = await lengthRuled(listed('r', input.reward), rule).score(batch);
    close(
      scores.map(({ value }) => value),
      values,
    );
  }
  expect(priced(1, 10, { mode: 'over', lambda: 5, target: 20 })).toBe(1);
});

test('repetition is the share of trigrams that occurred before', async () => {
  expect(repetition([1, 2, 3, 4, 5])).toBe(0);
  expect(repetition([1, 1, 1, 1, 1])).toBeCloseTo(2 / 3, 12);
  expect(repetition([1, 2, 3])).toBe(0);
  const rule = { mode: 'over', target: 100, lambda: 0, repetition: 3 } as const;
  const reward = lengthRuled(listed('r', [1]), rule);
  const [score] = await reward.score([candidate('0', { tokens: [1, 1, 1, 1, 1] })]);
  expect(score!.value).toBeCloseTo(-1, 12);
});

test('caps, feasible sets and multipliers', async () => {
  const { input, expected } = vectorCase<
    { r1: number[]; r2: number[]; theta: [number, number]; mu_logit: number[] },
    {
      capped_sum: number[];
      feasible_both: boolean[];
      weights_sigmoid_mu: number[];
      lagrangian: number[];
      mu_after_one_step_eta0_1: number[];
    }
  >(FILE, 'cap_at');
  const { r1, r2, theta, mu_logit: mu } = input;
  const models = loaded(listed('r1', r1), listed('r2', r2));
  const plan = sumOf(use('r1', { cap: theta[0] }), use('r2', { cap: theta[1] }));
  const sums = await composed(plan, models).score(indices(3));
  close(
    sums.map(({ value }) => value),
    expected.capped_sum,
  );
  const constraints = [
    { member: 'r1', min: theta[0], max: Infinity },
    { member: 'r2', min: theta[1], max: Infinity },
  ];
  const bound = await composed({ ...plan, constraints }, models).score(indices(3));
  expect(bound.map(({ parts }) => parts['violation'] === 0)).toEqual(expected.feasible_both);
  const weights = mu.map(sigmoid);
  close(weights, expected.weights_sigmoid_mu);
  const lagrange = { ...plan, lagrange: { rate: 0.1, steps: 0 } };
  const weighed = await composed(lagrange, models).score(indices(3));
  close(
    weighed.map(({ value }) => value),
    expected.lagrangian,
  );
  close(
    [r1, r2].map((values, i) => dualStep(mu[i]!, values, theta[i]!, 0.1)),
    expected.mu_after_one_step_eta0_1,
  );
});

describe('constraints', () => {
  const bound = (scores: readonly number[], min = 0) => ({
    reward: listed('safe', scores),
    member: 'safe',
    min,
    max: Infinity,
  });

  test('put every infeasible candidate below every feasible one', async () => {
    const reward = constrained(listed('r', [1, 9, 2]), [bound([0.5, -0.1, 0])]);
    const [a, b, c] = await reward.score(indices(3));
    expect(c!.value).toBe(2);
    expect(a!.value).toBe(1);
    expect(b!.value).toBeLessThan(1);
    expect(b!.parts).toMatchObject({ r: 9, safe: -0.1, violation: 0.1 });
  });

  test('rank by the least violation where nothing is feasible, and leave NaN alone', async () => {
    const reward = constrained(listed('r', [1, 9, NaN]), [bound([-1, -3, 2])]);
    const scores = (await reward.score(indices(3))).map(({ value }) => value);
    expect(scores[0]).toBeGreaterThan(scores[1]!);
    expect(scores[2]).toBeNaN();
    const unknown = constrained(listed('r', [1]), [bound([NaN])]);
    expect((await unknown.score(indices(1)))[0]!.value).toBeNaN();
  });

  test('measure how far outside', () => {
    expect([-2, 0, 3, 5].map((x) => violation(x, { min: -1, max: 3 }))).toEqual([1, 0, 0, 2]);
  });
});

test('clip, delta and normalisation', async () => {
  expect([clip(2, 1), clip(0.5, 1)]).toEqual([0, -0.5]);
  expect(deltas([5, 3, 2, 9])).toEqual([2, 1, 2, 0]);
  expect(deltas([5, 3, 2, 9]).reduce((a, b) => a + b)).toBe(5);
  expect(deltas([7])).toEqual([0]);
  const clipped = transformed(listed('r', [2, 0.5]), { kind: 'clip', eta: 1 });
  close(
    (await clipped.score(indices(2))).map(({ value }) => value),
    [0, -0.5],
  );
  const z = await normalised(listed('r', [1, 3, NaN]), 'pool').score(indices(3));
  expect(z.map(({ value }) => value)).toEqual([-1, 1, NaN]);
  const flat = await normalised(listed('r', [4, 4]), 'pool').score(indices(2));
  expect(flat.map(({ value }) => value)).toEqual([0, 0]);
  const stored = await normalised(listed('r', [4]), { mean: 2, std: 4 }).score(indices(1));
  expect(stored[0]).toMatchObject({ value: 0.5, parts: { r: 4 } });
  expect((await capped(listed('r', [4]), 3).score(indices(1)))[0]!.value).toBe(3);
});

test('a plan that names a reward which is not loaded is a bug, and says so', () => {
  expect(() => composed(sumOf(use('gone')), loaded())).toThrow('gone');
});
