import { afterEach, describe, expect, test } from 'vitest';
import { softmax } from '../../../src/core/math.ts';
import type { Candidate, Reward } from '../../../src/core/reward.ts';
import { rewardOf } from '../../../src/rewards/compose.ts';
import type { Branch } from '../../../src/core/tree.ts';
import { bestOfN } from '../../../src/strategies/best_of_n.ts';
import { expectedBest } from '../../../src/strategies/gain.ts';
import { surviving } from '../../../src/strategies/prune/speculative_rejection.ts';
import { pruned } from '../../../src/strategies/prune/index.ts';
import type { Verdict } from '../../../src/strategies/prune/rule.ts';
import { pick, ranked } from '../../../src/strategies/select.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran, type PlanAsk } from '../../fakes/plan.ts';
import { fakeReward, composed, loaded, sumOf, use } from '../../fakes/reward.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { engine } = fakeEngine({ endBias: 0.5 });
afterEach(() => {
  engine.audit();
  expect(engine.load.running).toBe(0);
});

const CONTEXT = { maxTokens: 20, judged: true };
const PARAMS = bestOfN.parse({ n: 8 }, CONTEXT);
const rejecting = (alpha: number, at: readonly number[]) => ({
  prune: pruned({ type: 'speculative_rejection', alpha, at }, { ...CONTEXT, n: 8 }),
});
const judged = sumOf(use('r'));
const bestOf = (params: Partial<typeof PARAMS> = {}, ask: PlanAsk = {}) =>
  planOf({ strategy: 'best_of_n', params: { ...PARAMS, ...params }, reward: judged, ...ask });
const valued = (value: (candidate: Candidate) => number) => ({
  rewardOf: () => composed(judged, loaded(fakeReward('r', value))),
});

describe('a best-of-N', () => {
  test('returns as many of its best answers as are asked for, each a choice', async () => {
    const value = ({ branch }: Candidate): number => -Math.abs(branch - 5.2); // 5, 6, 4 ...
    const plan = bestOf({}, { answers: 3, n: 2 });
    const { choices, events } = await ran(engine, plan, valued(value));
    expect(choices).toHaveLength(6);
    expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
    for (const first of [0, 3]) {
      const { report } = choices[first]!;
      const selected = report!.candidates.filter(({ status }) => status === 'selected');
      expect(selected.map(({ index }) => index)).toEqual([4, 5, 6]);
      const lengths = [5, 6, 4].map((i) => report!.candidates[i]!.tokens);
      const three = choices.slice(first, first + 3);
      expect(three.map(({ tokens }) => tokens)).toEqual(lengths);
      expect(three.map(({ report: each }) => each!.completionTokens)).toEqual(lengths);
      for (const { draws, tokens } of three) expect(draws).toHaveLength(tokens);
      expect(three.slice(1).map(({ report: each }) => each!.generatedTokens)).toEqual([0, 0]);
    }
  });

  test('abstains where its ensemble disagrees on every candidate', async () => {
    const ensemble = {
      members: null,
      abstain: 1,
      aggregate: 'mean',
      lambda: 0,
      variance: 'population',
    } as const;
    const reward = { ...sumOf(use('r'), use('q')), ensemble };
    const apart = (by: number) => ({
      rewardOf: () =>
        composed(
          reward,
          loaded(
            fakeReward('r', () => by),
            fakeReward('q', () => 0),
          ),
        ),
    });
    const far = await ran(engine, bestOf({}, { reward }), apart(4));
    expect(far.choices[0]!.report!.abstained).toBe(true);
    const near = await ran(engine, bestOf({}, { reward }), apart(1));
    expect(near.choices[0]!.report!.abstained).toBe(false);
  });

  test('tells which of its rewards was left out, and how long the others took', async () => {
    const gone: Reward = {
      name: 'gone',
      reads: 'complete',
      score: () => Promise.reject(new Error('gone')),
    };
    const reward = sumOf(use('r'), use('gone'));
    const known = loaded(fakeReward('r'), gone);
    const { choices } = await ran(engine, bestOf({}, { reward }), {
      rewardOf: (plan, told) => rewardOf(plan, known, told),
    });
    expect(choices[0]!.report!.evaluations).toEqual([
      { member: 'gone', reward: 'gone', seconds: 0, outcome: 'failed' },
      { member: 'r', reward: 'r', seconds: 0, outcome: 'ok' },
    ]);
  });

  test('returns the answer with the highest reward, and reports every candidate', async () => {
    const { choices } = await ran(
      engine,
      bestOf(),
      valued(({ branch }) => (branch === 5 ? 9 : 1)),
    );
    const { report, text, tokens } = choices[0]!;
    expect(report!.candidates.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(report!.candidates[5]).toMatchObject({ status: 'selected', score: 9, parts: { r: 9 } });
    const others = report!.candidates.filter(({ status }) => status === 'completed');
    expect(others).toHaveLength(7);
    const all = report!.candidates.reduce((sum, one) => sum + one.tokens, 0);
    expect(report).toMatchObject({
      generatedTokens: all,
      rewardTokens: all,
      completionTokens: tokens,
      prunedTokens: 0,
      savedTokens: 0,
    });
    const alone = await ran(
      engine,
      bestOf({ n: 6 }),
      valued(({ branch }) => branch),
    );
    expect(alone.choices[0]!.text).toBe(text);
  });

  test('of one is sampling', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const one = await ran(engine, bestOf({ n: 1 }, { seed }));
      const sampled = await ran(engine, planOf({ seed }));
      expect(one.choices[0]!.text).toBe(sampled.choices[0]!.text);
      expect(one.choices[0]!.draws).toEqual(sampled.choices[0]!.draws);
    }
  });

  test('in waves is the same, whatever the room', async () => {
    const wide = await ran(engine, bestOf());
    for (const rows of [2, 3, 5]) {
      const small = fakeEngine({ endBias: 0.5, classes: [{ length: 64, rows }] }).engine;
      const narrow = await ran(small, bestOf());
      expect(narrow.choices[0]!.text).toBe(wide.choices[0]!.text);
      expect(narrow.choices[0]!.report!.candidates).toEqual(wide.choices[0]!.report!.candidates);
      small.audit();
    }
  });

  test('goes to the first of equals', async () => {
    const { choices } = await ran(
      engine,
      bestOf(),
      valued(() => 1),
    );
    expect(choices[0]!.report!.candidates[0]!.status).toBe('selected');
  });

  test('by likelihood asks no reward', async () => {
    const { choices } = await ran(engine, bestOf({ by: 'likelihood' }, { reward: null }));
    const { report, draws } = choices[0]!;
    expect(report!.rewardTokens).toBe(0);
    const greedy = await ran(engine, planOf({ sampling: { temperature: 0 } }));
    expect(greedy.bugs).toEqual([]);
    expect(draws.length).toBe(report!.completionTokens);
  });

  test('is soft where asked: the same each time, and not always the best', async () => {
    const selected = async (seed: number, lambda: number): Promise<number> => {
      const { choices } = await ran(engine, bestOf({ lambda }, { seed }));
      const found = choices[0]!.report!.candidates.find(({ status }) => status === 'selected');
      return found!.score!;
    };
    const seeds = Array.from({ length: 12 }, (_, i) => i);
    const all = async (lambda: number) => Promise.all(seeds.map((seed) => selected(seed, lambda)));
    expect(await all(1e6)).toEqual(await all(1e6));
    expect(await all(1e6)).not.toEqual(await all(0));
    expect(await all(1e-6)).toEqual(await all(0));
  });

  test('never returns a candidate that could not be judged', async () => {
    const { choices } = await ran(
      engine,
      bestOf(),
      valued(({ branch }) => (branch < 7 ? NaN : 0)),
    );
    const { candidates } = choices[0]!.report!;
    expect(candidates[7]).toMatchObject({ status: 'selected', score: 0 });
    expect(candidates[0]).toMatchObject({ status: 'failed', score: null, parts: {} });
  });

  test.each([0, 0.5])('fails if no whole answer could be, lambda %d', async (lambda) => {
    const plan = bestOf({ lambda, ...rejecting(0.5, [1]) });
    const value = ({ tokens }: Candidate): number => (tokens.length === 1 ? 1 : NaN);
    const { events, bugs } = await ran(fakeEngine({ endBias: -100 }).engine, plan, valued(value));
    expect(bugs).toEqual([]);
    expect(events.at(-1)).toMatchObject({ kind: 'failed', failure: { code: 'reward_failed' } });
  });

  test('fails if none could be, or if the reward fails', async () => {
    const none = await ran(
      engine,
      bestOf(),
      valued(() => NaN),
    );
    expect(none.events.at(-1)).toMatchObject({
      kind: 'failed',
      failure: { code: 'reward_failed' },
      spent: expect.any(Number) as number,
    });
    expect(none.events.at(-1)).not.toMatchObject({ spent: 0 }); // what was drawn was drawn
    const broken = await ran(
      engine,
      bestOf(),
      valued(() => {
        throw new Error('secret internals');
      }),
    );
    expect(broken.events.at(-1)).toMatchObject({ failure: { code: 'reward_failed' } });
    expect(JSON.stringify(broken.events)).not.toContain('secret');
    expect(broken.bugs).toHaveLength(1);
  });

  test('that is aborted while it is judged ends at once', async () => {
    const abort = new AbortController();
    const never = {
      ...fakeReward('r'),
      score: () => (abort.abort(), new Promise<never>(() => {})),
    };
    const { events } = await ran(engine, bestOf(), { signal: abort.signal, rewardOf: () => never });
    expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: true });
  });
});

describe('speculative rejection', () => {
  const long = fakeEngine({ endBias: -100 }).engine;

  test('gives up the worst share at each point, and counts what that saved', async () => {
    const plan = bestOf(rejecting(0.5, [4, 8]), { maxTokens: 20 });
    const { choices } = await ran(
      long,
      plan,
      valued(({ branch }) => branch),
    );
    const { candidates, ...report } = choices[0]!.report!;
    const fates = candidates.map(({ status, prunedAt, tokens }) => [status, prunedAt, tokens]);
    expect(fates).toEqual([
      ...Array.from({ length: 4 }, () => ['pruned', 4, 4]),
      ...Array.from({ length: 2 }, () => ['pruned', 8, 8]),
      ['completed', null, 20],
      ['selected', null, 20],
    ]);
    expect(report).toMatchObject({
      generatedTokens: 4 * 4 + 2 * 8 + 2 * 20,
      prunedTokens: 4 * 4 + 2 * 8,
      savedTokens: 4 * 16 + 2 * 12,
      rewardTokens: 8 * 4 + 4 * 8 + 2 * 20,
    });
  });

  test('keeps what has finished as a candidate, and at least one that has not', async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const plan = bestOf(rejecting(0.99, [1, 2, 3]), { seed });
      const { choices } = await ran(engine, plan);
      const { candidates } = choices[0]!.report!;
      const pruned = candidates.filter(({ status }) => status === 'pruned');
      expect(pruned.every(({ tokens, prunedAt }) => tokens === prunedAt && tokens <= 3)).toBe(true);
      const whole = await ran(engine, bestOf({}, { seed }));
      whole.choices[0]!.report!.candidates.forEach(({ tokens, score }, i) => {
        if (candidates[i]!.status === 'pruned') return;
        expect(candidates[i]).toMatchObject({ tokens, score });
      });
    }
  });

  test('with alpha 0 is no pruning: no reward is asked before the end', () => {
    const raw = { n: 4, prune: { type: 'speculative_rejection', alpha: 0, at: [8] } };
    const params = bestOfN.parse(raw, { maxTokens: 20, judged: true });
    expect(bestOfN.prunes!(params)).toBe(false);
    expect(bestOfN.needs(params)).toBe('complete');
  });

  const branch = (id: number): Branch => ({ id }) as Branch;
  const idsOf = ({ ranked: all, keep }: Verdict) => all.slice(0, keep).map(({ id }) => id);
  const scoresOf = (values: readonly number[]) => values.map((value) => ({ value, parts: {} }));

  test.each(
    vectors<{ scores: number[]; alpha: number }, { kept_in_rank_order: number[] }>(
      'pruning.json',
    ).cases.filter(({ name }) => name.startsWith('keep_alpha')),
  )('vector $name', ({ input, expected }) => {
    const kept = surviving(
      input.scores.map((_, i) => branch(i)),
      scoresOf(input.scores),
      input.alpha,
    );
    expect(idsOf(kept)).toEqual(expected.kept_in_rank_order);
  });

  test('vectors: half to even and at least one, and half of eight at 64 tokens', () => {
    const trap = vectorCase<{ n: number[]; alpha: number }, { server_rule_at_least_one: number[] }>(
      'pruning.json',
      'round_half_even',
    );
    const counts = trap.input.n.map((n) => {
      const values = Array.from({ length: n }, () => 0);
      return surviving(
        values.map((_, i) => branch(i)),
        scoresOf(values),
        trap.input.alpha,
      ).keep;
    });
    expect(counts).toEqual(trap.expected.server_rule_at_least_one);
    const half = vectorCase<
      { p_good_at_64_tokens: number[]; keep_fraction: number },
      { kept_in_rank_order: number[] }
    >('pruning.json', 'mid_generation');
    const values = half.input.p_good_at_64_tokens;
    const kept = surviving(
      values.map((_, i) => branch(i)),
      scoresOf(values),
      1 - half.input.keep_fraction,
    );
    expect(idsOf(kept)).toEqual(half.expected.kept_in_rank_order);
  });
});

interface Law {
  readonly probs: number[];
  readonly rewards: number[];
  readonly n: number;
  readonly lam?: number;
}

/** Every way to draw n of some outcomes, orders aside: how often each. */
function* pools(outcomes: number, n: number): Generator<readonly number[]> {
  if (outcomes === 1) return yield [n];
  for (let first = 0; first <= n; first++)
    for (const rest of pools(outcomes - 1, n - first)) yield [first, ...rest];
}

/** The law of the chosen outcome, with the strategy's own way to choose. */
function chosenLaw({ probs, rewards, n }: Law, shares: (rewards: number[]) => number[]): number[] {
  const law = probs.map(() => 0);
  for (const counts of pools(probs.length, n)) {
    const drawn = counts.flatMap((count, outcome) => Array.from({ length: count }, () => outcome));
    let p = 1;
    let left = n;
    counts.forEach((count, outcome) => {
      for (let k = 1; k <= count; k++) p *= (left-- / k) * probs[outcome]!; // multinomial
    });
    shares(drawn.map((outcome) => rewards[outcome]!)).forEach((share, i) => {
      law[drawn[i]!]! += p * share;
    });
  }
  return law;
}

const divergence = (law: readonly number[], base: readonly number[]): number =>
  law.reduce((sum, q, i) => sum + (q === 0 ? 0 : q * Math.log(q / base[i]!)), 0);

interface Chosen {
  readonly bon_distribution: number[];
  readonly exact_kl: number;
  readonly bound_log_n_minus: number;
  readonly expected_reward: number;
}

test.each(vectors<Law, Chosen>('best_of_n.json').cases.filter(({ name }) => /^n\d+$/.test(name)))(
  'vector $name: the law of the best of n, and its divergence',
  ({ input, expected }) => {
    const law = chosenLaw(input, (rewards) => {
      const branches = rewards.map((_, id) => ({ id }) as Branch);
      const [first] = ranked(
        branches,
        rewards.map((value) => ({ value, parts: {} })),
      );
      return rewards.map((_, i) => Number(i === first!.id));
    });
    law.forEach((p, i) => expect(p).toBeCloseTo(expected.bon_distribution[i]!, 9));
    const mean = law.reduce((sum, p, i) => sum + p * input.rewards[i]!, 0);
    expect(mean).toBeCloseTo(expected.expected_reward, 9);
    expect(divergence(law, input.probs)).toBeCloseTo(expected.exact_kl, 9);
    const { n } = input;
    const params = bestOfN.parse({ n }, { maxTokens: 20, judged: true });
    const { best_of } = bestOfN.remarks!(params) as { best_of: { kl_bound: number } };
    expect(best_of).toMatchObject({ n, win_rate: n / (n + 1) });
    expect(best_of.kl_bound).toBeCloseTo(expected.bound_log_n_minus, 9);
  },
);

test.each(
  vectors<Required<Law>, { distribution: number[]; exact_kl: number }>(
    'best_of_n.json',
  ).cases.filter(({ name }) => name.startsWith('soft_bon')),
)('vector $name: the law of the soft choice', ({ input, expected }) => {
  const law = chosenLaw(input, (rewards) => softmax(rewards.map((r) => r / input.lam)));
  law.forEach((p, i) => expect(p).toBeCloseTo(expected.distribution[i]!, 9));
  expect(divergence(law, input.probs)).toBeCloseTo(expected.exact_kl, 9);
});

describe('what fewer answers would have come to', () => {
  test('vector unbiased_estimator', () => {
    const { input, expected } = vectorCase<{ scores: number[]; n: number[] }, { value: number[] }>(
      'best_of_n.json',
      'unbiased_estimator',
    );
    input.n.forEach((n, i) =>
      expect(expectedBest(input.scores, n)).toBeCloseTo(expected.value[i]!, 9),
    );
  });

  test('vector pass_at_k: of right and wrong answers it is the chance that one of k is right', () => {
    const { input, expected } = vectorCase<
      { N: number; correct: number; k: number[] },
      { value: number[] }
    >('best_of_n.json', 'pass_at_k');
    const scores = Array.from({ length: input.N }, (_, i) => Number(i < input.correct));
    input.k.forEach((k, i) => expect(expectedBest(scores, k)).toBeCloseTo(expected.value[i]!, 9));
  });

  test('is told of each search, the best of all last', async () => {
    const params = bestOfN.parse({ n: 6 }, { maxTokens: 20, judged: true });
    const plan = planOf({ strategy: 'best_of_n', params, reward: sumOf(use('r')) });
    const { choices } = await ran(fakeEngine().engine, plan);
    const [choice] = choices;
    const told = choice!.report!.search.figures['expected_best']!;
    expect(told).toHaveLength(4); // of 1, 2, 4 and 6
    expect(told).toEqual(told.toSorted((a, b) => a - b));
    const scores = choice!.report!.candidates.map(({ score }) => score!);
    expect(told.at(-1)).toBeCloseTo(Math.max(...scores), 12);
    expect(told[0]).toBeCloseTo(scores.reduce((sum, r) => sum + r, 0) / 6, 12);
  });
});

test('a pick follows its shares, and never takes what has none', () => {
  const counts = [0, 0, 0];
  for (let i = 0; i < 1000; i++) counts[pick(softmax([0, -Infinity, Math.log(3)]), i / 1000)]!++;
  expect(counts).toEqual([250, 0, 750]);
  expect(pick([0.99, 0], 0.999)).toBe(0);
});
