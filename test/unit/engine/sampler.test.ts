import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { STREAM, uniform } from '../../../src/core/philox.ts';
import type { Sampling } from '../../../src/core/tree.ts';
import { adjustments, type Adjustments } from '../../../src/engine/adjustments.ts';
import { Sampler } from '../../../src/engine/sampler.ts';
import { PLAIN } from '../../fakes/engine.ts';
import { vectorCase } from '../../fakes/vectors.ts';
import { mixedOf, referenceDraw, referenceLaw } from './reference_sampler.ts';

const sampling = (changes: Partial<Sampling>): Sampling => ({ ...PLAIN, ...changes });

/** Logits on a grid, so that ties happen; some tokens impossible. Flat, peaked or in between. */
const logits = (vocab: number): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: 40 }), { minLength: vocab, maxLength: vocab }),
      fc.constantFrom(0.01, 0.1, 0.5),
      fc.uniqueArray(fc.nat(vocab - 1), { maxLength: vocab - 1 }),
    )
    .map(([grid, step, gone]) => grid.map((x, v) => (gone.includes(v) ? -Infinity : x * step)))
    .filter((row) => row.some((x) => x > -Infinity));

const params: fc.Arbitrary<Sampling> = fc
  .record({
    temperature: fc.constantFrom(0, 0.3, 0.7, 1, 1, 1.9),
    topK: fc.constantFrom(0, 0, 1, 2, 3, 5, 63, 64, 65, 90, 1000),
    topP: fc.constantFrom(1, 1, 0, 0.0137, 0.4371, 0.9013, 0.99973),
    minP: fc.constantFrom(0, 0, 0.0371, 0.4937),
  })
  .map(sampling);

const changes = (vocab: number): fc.Arbitrary<Adjustments | null> =>
  fc.option(
    fc
      .uniqueArray(
        fc.tuple(
          fc.nat(vocab - 1),
          fc.record({
            add: fc.constantFrom(0, -100, 0.1173, 30.0371, -2.0419),
            scale: fc.constantFrom(1, 1, 1.3131, 0.7177),
          }),
        ),
        { selector: ([token]) => token, maxLength: vocab },
      )
      .map((entries) => new Map(entries)),
    { nil: null },
  );

describe.each([3, 64, 150])('over a vocabulary of %d', (vocab) => {
  const sampler = new Sampler(vocab);
  const u = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test('the law is that of the plain rule, whatever the logits, parameters, biases and penalties', () => {
    fc.assert(
      fc.property(logits(vocab), params, changes(vocab), (row, s, adjustment) => {
        const mixed = mixedOf(row, s.temperature);
        const law = sampler.law(0, mixed, s, adjustment);
        const expected = referenceLaw(mixed, s, adjustment);
        const worst = Math.max(...expected.map((p, v) => Math.abs(p - law[v]!)));
        expect(worst).toBeLessThan(1e-9);
      }),
      { numRuns: 400 },
    );
  });

  test('a draw is the inverse CDF from the likeliest token down', () => {
    fc.assert(
      fc.property(logits(vocab), params, changes(vocab), u, (row, s, adjustment, x) => {
        const mixed = mixedOf(row, s.temperature);
        const expected = referenceDraw(mixed, s, adjustment, x);
        if (s.temperature !== 0 && expected.distance < 1e-9) return; // on the edge of two tokens
        const greedy = referenceLaw(mixed, s, adjustment).indexOf(1);
        expect(sampler.draw(0, mixed, s, adjustment, x)).toBe(
          s.temperature === 0 ? greedy : expected.token,
        );
      }),
      { numRuns: 400 },
    );
  });

  test('a token without any mass is never drawn, u as close to 1 as it gets', () => {
    fc.assert(
      fc.property(logits(vocab), params, changes(vocab), (row, s, adjustment) => {
        const mixed = mixedOf(row, s.temperature);
        const token = sampler.draw(0, mixed, s, adjustment, 1 - 2 ** -53);
        expect(mixed.combined[token]).toBeGreaterThan(-Infinity);
      }),
      { numRuns: 200 },
    );
  });
});

test('the inverse CDF of the vectors', () => {
  const { input, expected } = vectorCase<{ probs: number[]; u: number[] }, { tokens: number[] }>(
    'sampler.json',
    'inverse_cdf',
  );
  const sampler = new Sampler(4);
  const row = input.probs.map((p) => Math.log(p) / 1.5); // mixedOf raises to the power of 1.5
  const mixed = mixedOf(row, 1);
  expect(input.u.map((u) => sampler.draw(0, mixed, PLAIN, null, u))).toEqual(expected.tokens);
});

test('T = 0 takes the lowest id of equally likely tokens, also where all 64 candidates tie', () => {
  const sampler = new Sampler(100);
  const flat = Array.from({ length: 100 }, () => 0);
  expect(sampler.draw(0, mixedOf(flat, 0), sampling({ temperature: 0 }), null, 0.9)).toBe(0);
  const biased = new Map([[0, { add: -1, scale: 1 }]]);
  expect(sampler.draw(0, mixedOf(flat, 0), sampling({ temperature: 0 }), biased, 0.9)).toBe(1);
});

test('all mass on penalised tokens leaves the law of the others, however little they had', () => {
  const sampler = new Sampler(100);
  for (const height of [5, 20, 60]) {
    const row = Array.from({ length: 100 }, (_, v) => (v % 70 === 0 ? height : 0.01 * v));
    const penalty = new Map([0, 70].map((token) => [token, { add: -200, scale: 1 }]));
    const mixed = mixedOf(row, 1);
    const [law, expected] = [
      sampler.law(0, mixed, PLAIN, penalty),
      referenceLaw(mixed, PLAIN, penalty),
    ];
    expect(Math.max(...expected.map((p, v) => Math.abs(p - law[v]!)))).toBeLessThan(1e-9);
  }
});

test('adjusted and untouched tokens that tie are kept together by top-k', () => {
  const sampler = new Sampler(100);
  const row = Array.from({ length: 100 }, (_, v) => (v < 5 ? 3.3 : 0));
  const nothing = new Map([[2, { add: 0, scale: 1 }]]);
  const s = sampling({ topK: 2, temperature: 0.7 });
  const law = sampler.law(0, mixedOf(row, 0.7), s, nothing);
  expect([...law].filter((p) => p > 0)).toHaveLength(5);
});

/** Upper quantile of chi-square by Wilson and Hilferty; z = 4.75 is one in a million. */
test('top-k over fewer possible tokens than k, with penalties on impossible ones, ends and takes what is possible', () => {
  const mixed = mixedOf([-Infinity, -Infinity, -10.8, -Infinity, -Infinity], 1);
  const penalties = new Map([0, 1, 3].map((token) => [token, { add: 0, scale: 0.35 }]));
  for (const topK of [1, 2, 3, 4])
    expect(new Sampler(5).draw(0, mixed, sampling({ topK }), penalties, 0.5)).toBe(2);
});

const chiSquareBound = (df: number, z = 4.75): number =>
  df * (1 - 2 / (9 * df) + z * Math.sqrt(2 / (9 * df))) ** 3;

test.each([
  { temperature: 1 },
  { temperature: 0.7, topP: 0.9 },
  { temperature: 1.5, topK: 90, minP: 0.01 },
])('50,000 draws follow the law, at a confidence of one in a million: %o', (change) => {
  const [vocab, n, s] = [120, 50_000, sampling(change)];
  const sampler = new Sampler(vocab);
  const row = Array.from({ length: vocab }, (_, v) => 3 * uniform(5n, v, 0, 0, 9));
  const mixed = mixedOf(row, s.temperature);
  const law = sampler.law(0, mixed, s, null);
  const counts = new Float64Array(vocab);
  for (let i = 0; i < n; i++)
    counts[sampler.draw(0, mixed, s, null, uniform(1n, i, 0, 0, STREAM.token))]!++;
  let [statistic, df] = [0, -1];
  law.forEach((p, v) => {
    if (p === 0) return expect(counts[v]).toBe(0);
    expect(n * p).toBeGreaterThan(5); // or the approximation does not hold
    statistic += (counts[v]! - n * p) ** 2 / (n * p);
    df++;
  });
  expect(statistic).toBeLessThan(chiSquareBound(df));
});

test('penalties and biases add up per token', () => {
  const s = sampling({
    presencePenalty: 0.5,
    frequencyPenalty: 0.25,
    repetitionPenalty: 2,
    logitBias: [
      [1, 3],
      [9, -1],
    ],
  });
  const all = adjustments(s, [1, 4, 1], [4, 5]);
  expect(all).toEqual(
    new Map([
      [4, { add: -0.75, scale: 2 }],
      [5, { add: 0, scale: 2 }],
      [1, { add: 2, scale: 2 }],
      [9, { add: -1, scale: 1 }],
    ]),
  );
  expect(adjustments(PLAIN, [1, 1], [4])).toBeNull();
});
