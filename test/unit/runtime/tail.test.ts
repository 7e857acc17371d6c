import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Mixed, Reals, RowTerms, Tail } from '../../../src/core/model.ts';
import { Sampler } from '../../../src/engine/sampler.ts';
import { laneWeights } from '../../../src/guides/lane_weights.ts';
import { tailsOf } from '../../../src/runtime/tail.ts';
import { PLAIN } from '../../fakes/engine.ts';
import { testOrt } from '../../fakes/ort.ts';
import { fakeTail } from '../../fakes/tail.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

type Precision = 'float32' | 'float64';
const reals = (precision: Precision, values: Iterable<number>): Reals =>
  precision === 'float32' ? Float32Array.from(values) : Float64Array.from(values);

interface Combine {
  readonly base_logits: number[];
  readonly arm_logits: number[][];
  readonly alphas: number[];
  readonly T: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly vocab: number;
  readonly mode: 'sum' | 'mean';
}

interface Combined {
  readonly log_Z_sum_mode: number;
  readonly combined_logprobs_T1: number[];
  readonly sampling_probs: number[];
}

/** A request's guides of these weights on rows of logits, as the engine would mix and sample them. */
function mixed(
  precision: Precision,
  lanes: readonly (readonly number[])[],
  { alphas, mode, T = 1 }: { alphas: readonly number[]; mode: 'sum' | 'mean'; T?: number },
  vocab = lanes[0]!.length,
): Mixed {
  const uses = alphas.map((weight, i) => ({
    plus: i + 1,
    minus: null,
    weight,
    entropyAbove: null,
  }));
  const weights = laneWeights(
    { uses, combine: mode, maxKl: null, plausibility: 0 },
    lanes.length,
    1,
    null,
  );
  return run(precision, lanes, weights, vocab, T);
}

function run(
  precision: Precision,
  lanes: readonly (readonly number[])[],
  weights: Iterable<number>,
  vocab: number,
  temperature = 1,
  plausibility = 0,
): Mixed {
  const tails = tailsOf(testOrt(), { vocab, banned: [], rows: 1, precision });
  const tempered = temperature !== 0 && temperature !== 1;
  const widths = lanes.map((lane) => lane.length);
  const tail = tails({ widths, tempered, cutting: plausibility > 0, top: 64 });
  return tail.mix(
    1,
    lanes.map((lane) => reals(precision, lane)),
    {
      weights: reals(precision, weights),
      inverse: reals(precision, [tempered ? 1 / temperature : 1]),
      cuts: reals(precision, [Math.log(plausibility)]),
    },
  );
}

const logLaw = (m: Mixed): number[] => Array.from(m.combined, (c) => c - m.logZ[0]!);

function near(actual: Iterable<number>, expected: readonly number[], tolerance: number): void {
  const got = [...actual];
  expect(got).toHaveLength(expected.length);
  const wrong = expected.findIndex((x, i) => got[i] !== x && !(Math.abs(got[i]! - x) <= tolerance));
  expect(wrong, `[${wrong}] is ${got[wrong]}, not ${expected[wrong]}`).toBe(-1);
}

describe.each([
  ['float64', 1e-9],
  ['float32', 1e-5],
] as const)('in %s, to %d', (precision, tolerance) => {
  test.each(vectors<Combine, Combined>('genarm_combine.json').cases)(
    'GenARM combines as published: $name',
    ({ input, expected }) => {
      const lanes = [input.base_logits, ...input.arm_logits];
      const sum = mixed(precision, lanes, { alphas: input.alphas, mode: 'sum' }, input.vocab);
      near([sum.logZ[0]!], [expected.log_Z_sum_mode], tolerance);
      const plain = mixed(precision, lanes, { ...input, T: 1 }, input.vocab);
      near(logLaw(plain), expected.combined_logprobs_T1, tolerance);
      const s = { ...PLAIN, temperature: input.T, topK: input.top_k, topP: input.top_p };
      const tempered = mixed(precision, lanes, input, input.vocab);
      const law = new Sampler(input.vocab).law(0, tempered, s, null);
      near(law, expected.sampling_probs, tolerance);
    },
  );

  const ratio = (plus: number[], minus: number[], base: number[], alpha: number): Mixed =>
    run(precision, [base, plus, minus], [1, alpha, -alpha], base.length);

  test('a density ratio adds alpha * (plus - minus) to the logits: DExperts, proxy tuning', () => {
    const { input, expected } = vectorCase<
      Record<'base_logits' | 'expert_logits' | 'antiexpert_logits', number[]> & { alpha: number },
      { logits: number[]; probs: number[] }
    >('implicit_reward.json', 'dexperts');
    const m = ratio(input.expert_logits, input.antiexpert_logits, input.base_logits, input.alpha);
    near(logLaw(m).map(Math.exp), expected.probs, tolerance);
  });

  test('a ratio over the policy itself at weight 1 gives the upper model', () => {
    const { input, expected } = vectorCase<
      Record<'base_logits' | 'plus_logits' | 'minus_logits', number[]> & { alpha: number },
      { probs: number[] }
    >('implicit_reward.json', 'identity');
    const m = ratio(input.plus_logits, input.minus_logits, input.base_logits, input.alpha);
    near(logLaw(m).map(Math.exp), expected.probs, tolerance);
    // The same without a second pass of the policy: its own lane's weight becomes 0.
    const own = run(precision, [input.base_logits, input.plus_logits], [0, 1], 4);
    near(logLaw(own).map(Math.exp), expected.probs, tolerance);
  });

  test('contrastive decoding: a negative weight over the amateur’s temperature, on what the expert finds plausible', () => {
    const { input, expected } = vectorCase<
      Record<'expert_logits' | 'amateur_logits', number[]> &
        Record<'alpha_plausibility' | 'amateur_weight' | 'amateur_temperature', number>,
      { scores: number[]; argmax: number }
    >('implicit_reward.json', 'contrastive_decoding');
    // log softmax(l / T) is log q / T but for a constant, which cancels in a law.
    const weight = -input.amateur_weight / input.amateur_temperature;
    const lanes = [input.expert_logits, input.amateur_logits];
    const m = run(precision, lanes, [1, weight], 4, 1, input.alpha_plausibility);
    const mass = expected.scores.reduce((sum, score) => sum + Math.exp(score), 0);
    const law = expected.scores.map((score) => Math.exp(score) / mass);
    near(logLaw(m).map(Math.exp), law, tolerance);
    const sampler = new Sampler(4);
    near(sampler.law(0, m, PLAIN, null), law, tolerance);
    expect(sampler.draw(0, m, { ...PLAIN, temperature: 0 }, null, 0.5)).toBe(expected.argmax);
  });

  test('what is implausible is said of the policy alone, whatever a guide wants', () => {
    const policy = [2, 2 + Math.log(0.5), 0, -Infinity];
    const m = run(precision, [policy, [0, 9, 99, 99]], [1, 5], 4, 1, 0.25);
    expect([...m.combined].map((c) => c > -Infinity)).toEqual([true, true, false, false]);
    const alone = run(precision, [policy], [], 4, 1, 1);
    near(logLaw(alone), [0, -Infinity, -Infinity, -Infinity], tolerance);
    const norm = Math.log(Math.exp(2) * 1.5 + 1);
    near([alone.kl[0]!], [norm - 2], tolerance); // of a sure thing: minus its log-prob
  });

  test('a guide equal to the policy is the policy at temperature 1 / (1 + alpha)', () => {
    const base = [2, 1, 0.5, -1, 0.25];
    const m = mixed(precision, [base, base], { alphas: [3], mode: 'sum' });
    const hot = base.map((x) => x * 4);
    const z = Math.log(hot.reduce((a, b) => a + Math.exp(b), 0));
    near(
      logLaw(m),
      hot.map((x) => x - z),
      tolerance,
    );
  });

  test('a token the policy cannot say stays impossible, and makes no NaN, whatever the weights', () => {
    const base = [2, -Infinity, 0.5, -1];
    const arm = [0, 1.5, -Infinity, 0.25];
    for (const weights of [
      [0, 1],
      [1, -2],
      [1, 0],
      [-1, 3],
    ]) {
      const m = run(precision, [base, arm], weights, 4);
      expect(m.combined[1]).toBe(-Infinity);
      for (const x of [...logLaw(m), m.kl[0]!, m.entropy[0]!, m.logZ[0]!]) expect(x).not.toBeNaN();
    }
  });
});

describe('against the arithmetic written out', () => {
  const vocab = 90;
  const widths = [vocab, vocab + 6, vocab];
  const banned = [1, 2, 70];
  const row = (width: number): fc.Arbitrary<number[]> =>
    fc.array(fc.double({ min: -12, max: 12, noNaN: true }), {
      minLength: width,
      maxLength: width,
    });
  const weight = fc.double({ min: -2, max: 3, noNaN: true });
  const inputs = fc
    .integer({ min: 1, max: 5 })
    .chain((rows) =>
      fc.tuple(
        fc.constant(rows),
        fc.array(fc.constantFrom(-50, -6, -1, 0), { minLength: rows, maxLength: rows }),
        ...widths.map((width) => row(rows * width)),
        fc.array(weight, { minLength: rows * widths.length, maxLength: rows * widths.length }),
        fc.array(fc.constantFrom(0.5, 1, 1.6, 10), { minLength: rows, maxLength: rows }),
      ),
    );

  test.each([
    [1, false, false],
    [1, true, false],
    [1, true, true],
    [2, false, false],
    [2, false, true],
    [3, true, false],
    [3, true, true],
  ] as const)('a graph of %d lanes, tempered %s, cutting %s', (lanes, tempered, cutting) => {
    const shape = { widths: widths.slice(0, lanes), tempered, cutting, top: 64 };
    const fake = fakeTail({ vocab, banned }, shape);
    const tails = tailsOf(testOrt(), { vocab, banned, rows: 5, precision: 'float64' });
    const real = tails(shape);
    const property = fc.property(inputs, ([rows, cuts, a, b, c, weights, inverse]) => {
      const logits = [a, b, c].slice(0, lanes).map((l) => Float64Array.from(l as number[]));
      const w = Float64Array.from(weights as number[]).subarray(0, rows * lanes);
      const by: RowTerms = {
        weights: w,
        inverse: Float64Array.from(inverse as number[]),
        cuts: Float64Array.from(cuts),
      };
      const [got, want] = [real.mix(rows, logits, by), fake.mix(rows, logits, by)];
      const all = (of: (m: Mixed) => Reals, n: number): void =>
        near(of(got).subarray(0, n), [...of(want)].slice(0, n), 1e-9);
      all((m) => m.combined, rows * vocab);
      all((m) => m.topValues, rows * 64);
      all((m) => m.logZ, rows);
      if (tempered) all((m) => m.logZTempered, rows);
      all((m) => m.kl, rows);
      all((m) => m.entropy, rows);
      for (let lane = 0; lane < lanes; lane++) all((m) => m.norms[lane]!, rows);
      // By value: tokens that differ in the last bit may change places.
      const chosen = Array.from(
        { length: rows * 64 },
        (_, i) => want.combined[Math.floor(i / 64) * vocab + got.topTokens[2 * i]!]!,
      );
      near(got.topValues.subarray(0, rows * 64), chosen, 1e-9);
    });
    fc.assert(property, { numRuns: 20 });
  });

  test('tokens past the vocabulary absorb no mass', () => {
    const lane = [1, 2, 3];
    const padded = [...lane, 50, 60];
    expect(logLaw(run('float64', [padded, padded], [1, 0.5], 3))).toEqual(
      logLaw(run('float64', [lane, lane], [1, 0.5], 3)),
    );
  });

  test('the lowest id comes first among equals of the top 64', () => {
    const m = run('float32', [Array.from({ length: 90 }, (_, v) => v % 2)], [1], 90);
    const ids = Array.from({ length: 64 }, (_, i) => m.topTokens[2 * i]);
    const odd = Array.from({ length: 45 }, (_, i) => 2 * i + 1);
    expect(ids).toEqual([...odd, ...Array.from({ length: 19 }, (_, i) => 2 * i)]);
  });
});

describe('a row is mixed alike bit for bit, alone or among up to 63 others', () => {
  const vocab = 2048;
  const tails = (): ReturnType<typeof tailsOf> =>
    tailsOf(testOrt(), { vocab, banned: [1, 2, 3], rows: 64 });
  const noise = (seed: number, n: number, scale: number): Float32Array =>
    Float32Array.from(
      { length: n },
      (_, i) => scale * Math.sin(seed * 7919 + i * (1 + seed) * 1.7),
    );
  const bits = (m: Mixed, i: number): unknown[] => [
    m.combined.slice(i * vocab, (i + 1) * vocab),
    m.topValues.slice(i * m.k, (i + 1) * m.k),
    m.topTokens.slice(i * 2 * m.k, (i + 1) * 2 * m.k),
    [m.logZ[i], m.logZTempered[i], m.kl[i], m.entropy[i], ...m.norms.map((norm) => norm[i])],
  ];

  test.each([
    [1, false, 32, false],
    [2, false, 64, false],
    [2, false, 32, false],
    [3, true, 64, false],
    [1, true, 32, true],
    [2, true, 32, true],
  ] as const)(
    'with %d lanes, tempered %s, the %d likeliest, cutting %s',
    (lanes, tempered, top, cutting) => {
      const widths = Array.from({ length: lanes }, () => vocab);
      const tail: Tail = tails()({ widths, tempered, cutting, top });
      const mine = Array.from({ length: lanes }, (_, k) => noise(k + 1, vocab, 6));
      const weights = Float32Array.of(1, 0.7, -0.4).subarray(0, lanes);
      const [inverse, cuts] = [Float32Array.of(1.25), Float32Array.of(-2)];
      const alone = bits(tail.mix(1, mine, { weights, inverse, cuts }), 0);
      for (const rows of [2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 64])
        for (const at of [0, rows >> 1, rows - 1]) {
          const all = mine.map((lane, k) => {
            const batch = noise(rows + at + k, rows * vocab, 9);
            batch.set(lane, at * vocab);
            return batch;
          });
          const w = noise(rows, rows * lanes, 2);
          w.set(weights, at * lanes);
          const inverse = noise(at, rows, 0.5).map((x) => x + 1);
          inverse[at] = 1.25;
          const cuts = noise(rows + 1, rows, 1).map((x) => x - 1);
          cuts[at] = -2;
          expect(bits(tail.mix(rows, all, { weights: w, inverse, cuts }), at)).toEqual(alone);
        }
    },
  );
});

test('tails of any shape write their laws to the same memory', () => {
  using tails = tailsOf(testOrt(), { vocab: 6, banned: [], rows: 2 });
  const row = Float32Array.of(0, 1, 2, 3, 4, 5);
  const by = {
    weights: Float32Array.of(1, 1),
    inverse: Float32Array.of(2),
    cuts: Float32Array.of(-9),
  };
  const laws = [
    tails({ widths: [6], tempered: false, cutting: false, top: 32 }).mix(1, [row], by),
    tails({ widths: [6, 6], tempered: true, cutting: true, top: 64 }).mix(1, [row, row], by),
  ];
  expect(laws[1]!.combined.buffer).toBe(laws[0]!.combined.buffer);
});
