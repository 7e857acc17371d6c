import { describe, expect, test } from 'vitest';
import { quantile } from '../../../src/core/math.ts';
import type { Candidate } from '../../../src/core/reward.ts';
import type { Schedule, StrategyContext } from '../../../src/core/strategy.ts';
import type { Branch, NextToken } from '../../../src/core/tree.ts';
import { expectedImprovement } from '../../../src/strategies/adaptive.ts';
import { bestOfN } from '../../../src/strategies/best_of_n.ts';
import { confidence, confidenceOf } from '../../../src/strategies/prune/confidence.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran, type PlanAsk } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'pruning.json';
const long = fakeEngine({ endBias: -100 }).engine;
const judged = sumOf(use('r'));
const CONTEXT: StrategyContext = { maxTokens: 20, judged: true };

const parsed = (fields: object, context: Partial<StrategyContext> = {}) =>
  bestOfN.parse(fields, { ...CONTEXT, ...context });

async function searched(
  fields: object,
  value: (candidate: Candidate) => number,
  { context, ...ask }: PlanAsk & { context?: Partial<StrategyContext> } = {},
) {
  const params = parsed(fields, context);
  const plan = planOf({ strategy: 'best_of_n', params, reward: judged, ...ask });
  const of = () => composed(judged, loaded(fakeReward('r', value)));
  const { choices, bugs } = await ran(long, plan, { rewardOf: of });
  expect(bugs).toEqual([]);
  long.audit();
  return choices[0]!.report!;
}

const fates = ({ candidates }: Awaited<ReturnType<typeof searched>>) =>
  candidates.map(({ status, prunedAt }) => (status === 'pruned' ? prunedAt : status));

describe('by value', () => {
  const prune = { type: 'value', threshold: 2, min_tokens: 6, every: 5 };

  test('gives up what falls below the threshold, from the least length on', async () => {
    const value = ({ branch, tokens }: Candidate): number =>
      branch === 1 && tokens.length < 11 ? 5 : branch;
    expect(fates(await searched({ n: 4, prune }, value))).toEqual([6, 11, 'completed', 'selected']);
  });

  test('leaves one answer, the best, where all fall below', async () => {
    const value = ({ branch }: Candidate): number => -branch;
    const report = await searched({ n: 3, prune }, value);
    expect(fates(report).filter((fate) => fate === 'selected')).toHaveLength(1);
  });

  test('a threshold below all scores gives up nothing', async () => {
    const all = { n: 4, prune: { ...prune, threshold: -100 } };
    const report = await searched(all, ({ branch }) => branch);
    expect(report).toMatchObject({ prunedTokens: 0, savedTokens: 0 });
  });
});

describe('by confidence', () => {
  const tops = (logprobs: readonly number[]): readonly NextToken[] =>
    logprobs.map((logprob, token) => ({ token, logprob }));

  test('vector deepconf_token_confidence_topk5', () => {
    const { input, expected } = vectorCase<{ top_logprobs: number[] }, { confidence: number }>(
      FILE,
      'deepconf',
    );
    expect(confidenceOf({ top: tops(input.top_logprobs) })).toBeCloseTo(expected.confidence, 9);
    const more = [...input.top_logprobs, -9, -10]; // only five count
    expect(confidenceOf({ top: tops(more) })).toBeCloseTo(expected.confidence, 9);
  });

  /** An answer whose tokens have these confidences. */
  const answerOf = (confidences: readonly number[], text = ''): Branch =>
    ({ draws: confidences.map((c) => ({ top: tops([-c]) })), text }) as unknown as Branch;
  const rule = (fields: object) => confidence.parse(fields, { ...CONTEXT, n: 8 });

  test('an answer goes once a window of it falls below the quantile that the first ones set', async () => {
    const params = rule({ window: 2, warm_up: 3, quantile: 0.5, min_tokens: 2 });
    const done = [answerOf([5, 5, 1, 5]), answerOf([9, 9]), answerOf([4, 4, 4, 4])]; // lowest 3, 9, 4
    const growing = [
      answerOf([8, 1, 8]),
      answerOf([3, 5, 3, 5]),
      answerOf([1, 9, 1]),
      answerOf([4, 3]),
    ];
    const { ranked, keep } = await confidence.decide(params)({
      tree: null as never,
      score: null as never,
      growing,
      done,
    });
    expect(ranked.slice(0, keep)).toEqual([growing[2], growing[0], growing[1]]); // 5, 4.5 and 4 of 4
  });

  test('as an answer grows its tokens are read once each, and decide as if they were all read again', async () => {
    const params = rule({ window: 3, warm_up: 1, quantile: 0.5, min_tokens: 4 });
    const confidences = Array.from({ length: 200 }, (_, i) => 5 + (4 - i / 50) * Math.sin(i * i));
    let reads = 0;
    const draws = confidences.map((c) => ({
      get top() {
        reads++;
        return tops([-c]);
      },
    }));
    const growing = { draws: [] as object[] };
    const asked = { tree: null as never, score: null as never, done: [answerOf([3.5, 3.5, 3.5])] };
    const [decide, keeps] = [confidence.decide(params), [] as number[]];
    for (let n = 4; n <= draws.length; n += 4) {
      growing.draws.push(...draws.slice(n - 4, n));
      const { keep } = await decide({ ...asked, growing: [growing as unknown as Branch] });
      const whole = answerOf(confidences.slice(0, n));
      expect(keep).toBe((await confidence.decide(params)({ ...asked, growing: [whole] })).keep);
      keeps.push(keep);
    }
    expect(new Set(keeps)).toEqual(new Set([0, 1])); // it falls below on its way
    expect(reads).toBe(draws.length);
  });

  test('consensus: enough answers that say the same end the drawing', () => {
    const params = rule({ warm_up: 2, answer: { extract: 'last_number' }, consensus: 0.75 });
    const texts = (...all: string[]) => all.map((text) => answerOf([1], text));
    expect(confidence.enough!(params, texts('it is 4'))).toBe(false);
    expect(confidence.enough!(params, texts('4', '5', '4'))).toBe(false);
    expect(confidence.enough!(params, texts('4', 'so 4', '5', '4'))).toBe(true);
    expect(confidence.enough!(params, texts('none', 'nothing'))).toBe(false);
    expect(confidence.enough!(rule({ warm_up: 1 }), texts('4', '4'))).toBe(false);
  });

  test('asks for five log-probs of each token, draws the first whole, and gives up some of the others', async () => {
    const prune = {
      type: 'confidence',
      warm_up: 2,
      quantile: 1,
      min_tokens: 4,
      every: 4,
      window: 4,
    };
    const params = parsed({ n: 8, prune });
    expect(bestOfN.top!(params)).toBe(5);
    const report = await searched({ n: 8, prune }, ({ branch }) => branch, { top: 5 });
    const gone = fates(report)
      .slice(2)
      .filter((fate) => typeof fate === 'number');
    expect(gone.length).toBeGreaterThan(0);
    expect(
      fates(report)
        .slice(0, 2)
        .every((fate) => typeof fate === 'string'),
    ).toBe(true);
  });
});

describe('by self-evaluation', () => {
  const QUESTION = { asks: [3, 9], labels: [5, 6], calibration: null } as const;
  const asked: unknown[] = [];
  const context: Partial<StrategyContext> = {
    selfQuestion: (of, at) => (asked.push([of, at]), QUESTION),
  };
  const prune = { type: 'self_evaluation', alpha: 0.5, at: [4, 8] };

  test('keeps those of which the policy says that a fresh start would be no better', async () => {
    const report = await searched({ n: 8, prune }, ({ branch }) => branch, { context });
    const { self_evaluation: said } = report.search.figures;
    expect(said).toHaveLength(8 + 4);
    const gone = fates(report).filter((fate) => typeof fate === 'number');
    expect(gone.toSorted()).toEqual([4, 4, 4, 4, 8, 8]);
    const order = said!.slice(0, 8).toSorted((a, b) => b - a);
    fates(report).forEach((fate, branch) => expect(said![branch]! >= order[3]!).toBe(fate !== 4));
    expect(report.rewardTokens).toBeGreaterThanOrEqual(12 * QUESTION.asks.length);
  });

  test('asks no reward before the end, needs rows for its forks, and alpha 0 asks nothing', () => {
    const params = parsed({ n: 8, prune }, context);
    expect(bestOfN.needs(params)).toBe('complete');
    expect(bestOfN.peak(params)).toEqual({ least: 12, most: 12 });
    expect(bestOfN.extra!(params)).toBe(2);
    const none = parsed({ n: 8, prune: { ...prune, alpha: 0 } }, context);
    expect(bestOfN.prunes!(none)).toBe(false);
    expect(bestOfN.peak(none)).toEqual({ least: 2, most: 8 });
  });

  test('says what it asks, and where', () => {
    asked.length = 0;
    parsed({ n: 8, prune: { ...prune, question: 'Again?', uncalibrated: true } }, context);
    parsed({ n: 8, prune }, context);
    parsed({ n: 8, adaptive: { self_evaluation: { probability: 0.5 } } }, context);
    const [nothing, own] = [
      { question: null, uncalibrated: false },
      { question: 'Again?', uncalibrated: true },
    ];
    expect(asked).toEqual([
      [own, 'alignment.strategy.prune'],
      [nothing, 'alignment.strategy.prune'],
      [nothing, 'alignment.strategy.adaptive.self_evaluation'],
    ]);
  });

  test('ends the drawing once the policy is sure enough of an answer', async () => {
    const drawn = async (probability: number, calibration = null as object | null) => {
      const selfQuestion = () => ({ ...QUESTION, calibration }) as never;
      const adaptive = { self_evaluation: { probability } };
      const report = await searched({ n: 10, adaptive }, ({ branch }) => branch, {
        context: { selfQuestion },
        seed: 5,
      });
      const said = report.search.figures['self_evaluation']!;
      expect(said.slice(0, -1).every((p) => p < probability)).toBe(true);
      return said;
    };
    expect(await drawn(0)).toHaveLength(1);
    const all = await drawn(1);
    expect(all).toHaveLength(10);
    const better = all.findIndex((p, i) => i > 0 && p > Math.max(...all.slice(0, i)));
    expect(await drawn(all[better]!)).toEqual(all.slice(0, better + 1));
    const sure = await drawn(0.999, { scale: 1, shift: 20 });
    expect(sure).toHaveLength(1); // a calibration may say that it is always right
  });
});

describe('calibrated', () => {
  const scheduled = (
    n: number,
    alphas: readonly number[],
    most: number,
    saved: number,
  ): Schedule => ({
    n,
    alphas: alphas.map((alpha, i) => ({ at: 4 * (i + 1), alpha })),
    loss: most / 2,
    most,
    saved,
  });
  const measured = [
    scheduled(8, [0.25], 0.01, 0.1),
    scheduled(8, [0.5, 0.5], 0.08, 0.4),
    scheduled(8, [0.5], 0.05, 0.2),
    scheduled(4, [0.25, 0.5], 0.04, 0.3),
  ];
  const context = { schedules: () => measured };
  const said = (n: number, loss?: number, of: Partial<StrategyContext> = context) =>
    bestOfN.remarks!(parsed({ n, prune: { type: 'calibrated', loss } }, of))['pruning'];

  test('keeps to the schedule that saves the most of those that are surely within the loss', () => {
    expect(said(8, 0.1)).toEqual({ ...measured[1], refused: null });
    expect(said(8, 0.06)).toEqual({ ...measured[2], refused: null });
    expect(said(8)).toEqual({ ...measured[0], refused: null });
  });

  test('takes those of the most answers that were measured and are no more than its own', () => {
    expect(said(64, 0.1)).toMatchObject({ n: 8 });
    expect(said(7, 0.1)).toMatchObject({ n: 4 });
  });

  test('gives up the share of the growing answers that the schedule says, and no other', async () => {
    const prune = { type: 'calibrated', loss: 0.1 };
    const report = await searched({ n: 8, prune }, ({ branch }) => branch, { context });
    expect(fates(report).filter((fate) => typeof fate === 'number')).toHaveLength(6);
    expect(fates(report).filter((fate) => fate === 4)).toHaveLength(4);
    expect(fates(report).filter((fate) => fate === 8)).toHaveLength(2);
  });

  test.each([
    ['nothing was measured', { n: 8 }, {}, 'nothing was measured of pruning 8 answers'],
    ['it was measured of more answers only', { n: 3 }, context, 'of pruning 3 answers'],
    ['all may lose more', { n: 8, loss: 0.005 }, context, 'may lose 0.01 of the gain, and 0.005'],
  ])('prunes nothing where %s, asks for no score of a part, and says why', (_, ask, of, why) => {
    const { n, ...fields } = ask;
    const params = parsed({ n, prune: { type: 'calibrated', ...fields } }, of);
    expect([bestOfN.needs(params), bestOfN.prunes!(params)]).toEqual(['complete', false]);
    expect(bestOfN.remarks!(params)['pruning']).toEqual({ refused: expect.stringContaining(why) });
  });
});

describe('adaptive', () => {
  test('what one more adds: the tail of what was drawn', () => {
    expect(expectedImprovement([2, 2, 2])).toBe(0);
    // k = 1, u = 1, m = 2: (1/2) 2 exp(-2/2)
    expect(expectedImprovement([1, 3])).toBeCloseTo(Math.exp(-1), 12);
    // k = 2, u = 2, m = ((5 - 2) + (3 - 2)) / 2 = 2: (2/4) 2 exp(-3/2)
    expect(expectedImprovement([1, 5, 2, 3])).toBeCloseTo(Math.exp(-1.5), 12);
  });

  test('of exponential rewards the estimate is near the truth', () => {
    // The truth, for the exponential law: P(R > best) * mean = exp(-best).
    const n = 400;
    const rewards = Array.from({ length: n }, (_, i) => -Math.log(1 - (i + 0.5) / n));
    expect(expectedImprovement(rewards) / Math.exp(-Math.max(...rewards))).toBeCloseTo(1, 1);
  });

  test('stops where the cost is high, and draws all where it is nothing', async () => {
    const draws = async (cost: number): Promise<number> => {
      const report = await searched({ n: 12, adaptive: { cost } }, ({ branch }) =>
        Math.sin(branch),
      );
      return report.candidates.filter(({ status }) => status !== 'pruned').length;
    };
    const counts = [await draws(0), await draws(0.05), await draws(10)];
    expect(counts[0]).toBe(12);
    expect(counts[2]).toBe(4);
    expect(counts).toEqual(counts.toSorted((a, b) => b - a));
  });

  test('each round has its temperature, the last for all that follow', async () => {
    const { engine } = fakeEngine({ endBias: -100 });
    const params = parsed({ n: 4, adaptive: { cost: 0, temperatures: [0, 1] } });
    const plan = planOf({ strategy: 'best_of_n', params, reward: judged });
    const texts = new Map<number, string>();
    const value = ({ branch, text }: Candidate): number => (texts.set(branch, text), branch);
    const of = () => composed(judged, loaded(fakeReward('r', value)));
    await ran(engine, plan, { rewardOf: of });
    const greedy = await ran(engine, planOf({ sampling: { temperature: 0 } }));
    expect(texts.get(0)).toBe(greedy.choices[0]!.text);
    expect(new Set(texts.values()).size).toBe(4);
  });

  test('is refused beside pruning', () => {
    const both = { adaptive: { cost: 1 }, prune: { type: 'value', threshold: 0 } };
    expect(() => parsed(both)).toThrow(/adaptive/);
  });

  test('vector expected_samples_iid_stop_prob: each answer ends the drawing with the same chance', async () => {
    interface Iid {
      readonly stop_prob: readonly number[];
      readonly max_samples: number;
    }
    const { input, expected } = vectorCase<Iid, { expected_samples: readonly number[] }>(
      FILE,
      'expected_samples',
    );
    const n = input.max_samples;
    const drawnWhere = async (first: number): Promise<number> => {
      const value = ({ branch }: Candidate): number => Number(branch >= first);
      const { candidates } = await searched({ n, adaptive: { threshold: 1 } }, value);
      return candidates.filter(({ score }) => score !== null).length;
    };
    const drawn = await Promise.all(Array.from({ length: n }, (_, first) => drawnWhere(first)));
    input.stop_prob.forEach((p, i) => {
      const mean = drawn.reduce(
        (sum, count, first) => sum + count * (1 - p) ** first * (first < n - 1 ? p : 1),
        0,
      );
      expect(mean).toBeCloseTo(expected.expected_samples[i]!, 9);
    });
  });
});

describe('the other vectors of the file', () => {
  test('paper_quantile_form: the quantile form keeps ties that the counting form cuts', () => {
    interface Quantile {
      readonly scores: readonly number[];
      readonly alpha: number;
    }
    const { input, expected } = vectorCase<Quantile, { cutoff: number; kept: number[] }>(
      FILE,
      'paper_quantile',
    );
    const cutoff = quantile(input.scores, input.alpha);
    expect(cutoff).toBeCloseTo(expected.cutoff, 9);
    expect([...input.scores.keys()].filter((i) => input.scores[i]! >= cutoff)).toEqual(
      expected.kept,
    );
  });

  test('temperature_schedules: a request gives either as a list', () => {
    interface Schedules {
      readonly rising_1_minus_2pow: number[];
      readonly falling_2pow: number[];
    }
    const { expected } = vectorCase<unknown, Schedules>(FILE, 'temperature_schedules');
    for (const temperatures of [expected.rising_1_minus_2pow, expected.falling_2pow])
      expect(parsed({ adaptive: { cost: 1, temperatures } }).adaptive).toMatchObject({
        temperatures,
      });
  });

  test('mid_generation_prune_half: the accounts of a pruned search', async () => {
    interface Half {
      readonly p_good_at_64_tokens: readonly number[];
      readonly keep_fraction: number;
      readonly full_len: number;
      readonly check_at: number;
    }
    type Out = { tokens_full: number; tokens_pruned: number; saved_fraction: number };
    const { input, expected } = vectorCase<Half, Out>(FILE, 'mid_generation');
    const scale = 16; // of 256 tokens, the same shares of 16
    const prune = {
      type: 'speculative_rejection',
      alpha: 1 - input.keep_fraction,
      at: [input.check_at / scale],
    };
    const maxTokens = input.full_len / scale;
    const n = input.p_good_at_64_tokens.length;
    const value = ({ branch }: Candidate): number => input.p_good_at_64_tokens[branch]!;
    const report = await searched({ n, prune }, value, { maxTokens, context: { maxTokens } });
    expect(report.generatedTokens * scale).toBe(expected.tokens_pruned);
    expect((report.generatedTokens + report.savedTokens) * scale).toBe(expected.tokens_full);
    expect(report.savedTokens / (n * maxTokens)).toBeCloseTo(expected.saved_fraction, 9);
  });
});
