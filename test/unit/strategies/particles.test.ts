import { describe, expect, test } from 'vitest';
import { uniform } from '../../../src/core/philox.ts';
import type { Branch } from '../../../src/core/tree.ts';
import { particles, type Particles } from '../../../src/strategies/particles.ts';
import { advanced, START, type Potential } from '../../../src/strategies/potentials.ts';
import { essOf, schemes, SCHEMES } from '../../../src/strategies/resample.ts';
import { logSumExp, softmax } from '../../../src/core/math.ts';
import {
  answers,
  ChainTree,
  logProbOf,
  logRow,
  spelled,
  type Chain,
  type ChainAsk,
} from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const FILE = 'smc.json';
const { model: base, tolerance } = vectors('beam_search.json') as unknown as {
  readonly model: Chain;
  readonly tolerance: number;
};
const areClose = (actual: readonly number[], expected: readonly number[]): void => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(tolerance));
};

describe('smc.json', () => {
  interface Rewards {
    readonly rewards: readonly (readonly number[])[];
    readonly lam: number;
  }
  type Steps = { readonly G: readonly (readonly number[])[]; readonly product: readonly number[] };

  test.each(['diff', 'add', 'rt'] as const)('potential %s', (potential) => {
    const { input, expected } = vectorCase<Rewards, Steps>(FILE, `potentials_${potential}`);
    input.rewards.forEach((rewards, i) => {
      let path = START;
      const G = rewards.map((r, s) => {
        const before = path.logG;
        path = advanced(potential, input.lam, path, r, s === rewards.length - 1);
        return Math.exp(path.logG - before);
      });
      areClose(G, expected.G[i]!);
      areClose([Math.exp(path.logG)], [expected.product[i]!]);
    });
  });

  test('potential max telescopes to the raw final reward, not to the running best', () => {
    let path = START;
    for (const [s, r] of [0.1, 0.9, 0.3].entries()) path = advanced('max', 2, path, r, s === 2);
    areClose([path.logG], [2 * 0.3]);
  });

  interface Weights {
    readonly weights: readonly number[];
    readonly u_systematic: number;
    readonly uniforms: readonly number[];
  }

  test('effective sample size', () => {
    type Out = { ess: number; resample_if_below_half: boolean };
    const { input, expected } = vectorCase<Weights, Out>(FILE, 'ess');
    const ess = essOf(input.weights);
    areClose([ess], [expected.ess]);
    expect(ess < input.weights.length / 2).toBe(expected.resample_if_below_half);
  });

  const { input, expected } = vectorCase<Weights, Record<string, number[]>>(
    FILE,
    'resampling_schemes',
  );

  test.each(SCHEMES)('%s resampling', (scheme) => {
    const { weights, u_systematic, uniforms } = input;
    const u = (i: number): number => (scheme === 'systematic' ? u_systematic : uniforms[i]!);
    expect(schemes[scheme](weights, u)).toEqual(expected[scheme]);
  });

  test.each(SCHEMES)('%s resampling draws each as often as it weighs, on average', (scheme) => {
    const weights = [0.45, 0.05, 0.3, 0.2];
    const counts = [0, 0, 0, 0];
    const rounds = 4000;
    for (let n = 0; n < rounds; n++)
      for (const i of schemes[scheme](weights, (k) => uniform(7n, n, k, 0, 0))) counts[i]!++;
    counts.forEach((count, i) => expect(count / rounds / 4).toBeCloseTo(weights[i]!, 1));
  });

  test('weights are carried where nothing is resampled', () => {
    type In = { prev_log_weights: number[]; log_G: number[]; ess_threshold: number };
    type Out = {
      log_weights: number[];
      normalised: number[];
      ess: number;
      resample: boolean;
      log_Z_increment: number;
    };
    const { input, expected } = vectorCase<In, Out>(FILE, 'carry_weights');
    const carried = input.prev_log_weights.map((log, i) => log + input.log_G[i]!);
    areClose(carried, expected.log_weights);
    areClose(softmax(carried), expected.normalised);
    const ess = essOf(softmax(carried));
    areClose([ess], [expected.ess]);
    expect(ess < input.ess_threshold * carried.length).toBe(expected.resample);
    areClose([logSumExp(carried) - logSumExp(input.prev_log_weights)], [expected.log_Z_increment]);
  });
});

interface Genarm {
  readonly arm: Chain;
  readonly alpha: number;
  readonly max_len: number;
}
interface Sequence {
  readonly seq: string;
  readonly local_logprob: number;
  readonly log_weight: number;
  readonly unnormalised_target: number;
  readonly target_prob: number;
  readonly local_prob: number;
}
interface Target {
  readonly log_Z_sequence: number;
  readonly total_variation_local_vs_sequence: number;
  readonly top6: readonly Sequence[];
}
const { input: genarm, expected: target } = vectorCase<Genarm, Target>(
  FILE,
  'genarm_proposal_weights',
);
const guided: ChainAsk = {
  chain: base,
  maxTokens: genarm.max_len,
  bend: (last, token) => genarm.alpha * logRow(genarm.arm, last)[token]!,
};
const all = answers(genarm.max_len);

/** Exact laws over answers by spelling: of log weights that need not add up. */
const lawOf = (log: (tokens: readonly number[]) => number): Map<string, number> => {
  const probabilities = softmax(all.map(log));
  return new Map(all.map((tokens, i) => [spelled(tokens), probabilities[i]!]));
};
const distance = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number => {
  const keys = new Set([...a.keys(), ...b.keys()]);
  return [...keys].reduce((d, k) => d + Math.abs((a.get(k) ?? 0) - (b.get(k) ?? 0)), 0) / 2;
};
const sequenceTarget = lawOf(
  (tokens) => logProbOf(base, tokens) + genarm.alpha * logProbOf(genarm.arm, tokens),
);

/** What plain guided sampling draws from: each step normalised by itself. */
const localLaw = lawOf((tokens) =>
  tokens.reduce((sum, token, i) => {
    const last = tokens[i - 1];
    const row = logRow(base, last).map((p, v) => p + guided.bend!(last, v));
    return sum + row[token]! - logSumExp(row);
  }, 0),
);

const PLAIN: Particles = {
  K: 1,
  potential: 'diff',
  lambda: 0,
  every: 1,
  ess: 0.5,
  resample: 'systematic',
  select: 'sample',
};

/** The law of what is returned, over `runs` seeds. */
async function returned(
  ask: ChainAsk,
  params: Partial<Particles>,
  runs = 800,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let seed = 0; seed < runs; seed++) {
    const search = particles.search(new ChainTree({ ...ask, seed }), { ...PLAIN, ...params });
    for (;;) {
      const { done, value } = await search.next();
      if (!done) continue;
      const seq = spelled(value[0]!.tokens);
      counts.set(seq, (counts.get(seq) ?? 0) + 1 / runs);
      break;
    }
  }
  return counts;
}

describe('the GenARM proposal', () => {
  test('a sequence has the log-prob and the log weight of the vectors', async () => {
    for (const { seq, ...expected } of target.top6) {
      const tree = new ChainTree(guided);
      const tokens = all.find((one) => spelled(one) === seq)!;
      for (const token of tokens) {
        const next = await tree.peek(tree.root, 4);
        tree.push(
          tree.root,
          next.find((one) => one.token === token)!,
        );
      }
      const { logprob, logZ } = tree.root;
      areClose([logprob, logZ], [expected.local_logprob, expected.log_weight]);
      areClose([logprob + logZ], [expected.unnormalised_target]);
      areClose([sequenceTarget.get(seq)!], [expected.target_prob]);
      areClose([Math.exp(logprob)], [expected.local_prob]);
    }
    const total = logSumExp(
      all.map((tokens) => logProbOf(base, tokens) + genarm.alpha * logProbOf(genarm.arm, tokens)),
    );
    areClose([total], [target.log_Z_sequence]);
    areClose([distance(localLaw, sequenceTarget)], [target.total_variation_local_vs_sequence]);
  });

  test('particles approach the sequence-level target; guided sampling alone does not', async () => {
    const [one, few, many] = [
      distance(await returned(guided, { K: 1 }), sequenceTarget),
      distance(await returned(guided, { K: 4 }), sequenceTarget),
      distance(await returned(guided, { K: 32 }), sequenceTarget),
    ];
    expect(one).toBeGreaterThan(target.total_variation_local_vs_sequence - 0.05);
    expect(few).toBeLessThan(one - 0.15);
    expect(many).toBeLessThan(0.1);
  });
});

describe('a reward', () => {
  const reward = ({ tokens }: Branch): number =>
    tokens.reduce((sum, token, i) => sum + (token === 2 ? 0.8 : token === 1 ? 0.1 * i : -0.2), 0);
  const lambda = 1.5;
  const tilted = lawOf(
    (tokens) => logProbOf(base, tokens) + lambda * reward({ tokens } as unknown as Branch),
  );
  const ask: ChainAsk = { chain: base, maxTokens: 4, reward };

  // `add` weighs the unfinished by all they have had so far: with resampling it is right only for very many particles.
  test.each([
    ['diff', 0.5],
    ['max', 0.5],
    ['rt', 0.5],
    ['add', 0],
  ] satisfies [Potential, number][])('potential %s approaches p exp(lambda R)', async (...row) => {
    const [potential, ess] = row;
    const swarm = await returned(ask, { K: 32, potential, lambda, ess });
    expect(distance(swarm, tilted)).toBeLessThan(0.16);
    const single = await returned(ask, { K: 1, potential, lambda, ess });
    expect(distance(single, tilted)).toBeGreaterThan(0.28);
  });

  test('lambda 0 without guides is the policy', async () => {
    const law = await returned(ask, { K: 8 });
    const policy = lawOf((tokens) => logProbOf(base, tokens));
    expect(distance(law, policy)).toBeLessThan(0.12);
  });

  test('one without a score has no weight; where none has one, the step says nothing', async () => {
    const noB = ({ tokens }: Branch): number => (tokens.includes(1) ? NaN : 1);
    const law = await returned({ ...ask, reward: noB }, { K: 16, lambda: 1, ess: 1 }, 100);
    expect([...law.keys()].filter((seq) => seq.includes('b'))).toEqual([]);
    const blind = await returned({ ...ask, reward: () => NaN }, { K: 4, lambda: 1 }, 100);
    expect(blind).toEqual(await returned(ask, { K: 4, lambda: 0 }, 100));
  });
});
