import { describe, expect, test } from 'vitest';
import type { Branch, Sampling } from '../../../src/core/tree.ts';
import { beam, type Beam } from '../../../src/strategies/beam.ts';
import { bestOf, chosenOf, lengthOf, normalised } from '../../../src/strategies/beam_rank.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { answers, ChainTree, logProbOf, logRow, spelled, type Chain } from '../../fakes/chain.ts';
import { fakeEngine, nextOf } from '../../fakes/engine.ts';
import { planOf, ran, type PlanAsk } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf as planSum, use } from '../../fakes/reward.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const FILE = 'beam_search.json';
interface Hypothesis {
  readonly seq: string;
  readonly score: number;
  readonly sum_logprob: number;
}
type Named = readonly [seq: string, value: number];
interface Input {
  readonly beam_width: number;
  readonly max_len: number;
  readonly length_penalty: number;
  readonly early_stopping: 'true' | 'false' | 'never';
  readonly model_override?: Chain;
}
interface Output {
  readonly result: readonly Hypothesis[];
  readonly steps: number;
  readonly trace?: readonly {
    readonly live: readonly Named[];
    readonly finished: readonly Named[];
  }[];
}

const { tolerance, cases, model } = vectors<Input, Output>(FILE) as ReturnType<
  typeof vectors<Input, Output>
> & { readonly model: Chain };

const PLAIN: Beam = { k: 1, G: 1, lambda: 0, penalty: 0, basis: 'generated', early: 'never', w: 0 };
const sumOf = ({ logprob, logZ }: Branch): number => logprob + logZ;

/** All that a search yields, as texts and sums at that moment, and what it returns. */
async function searched(tree: ChainTree, params: Partial<Beam>) {
  const search = beam.search(tree, { ...PLAIN, ...params });
  const steps: { live: Named[]; finished: string[] }[] = [];
  for (;;) {
    const { done, value } = await search.next();
    if (done) return { steps, ranked: value };
    const live = value.filter(({ finish }) => finish === null);
    const finished = value.filter(({ finish }) => finish !== null);
    steps.push({
      live: live.map((one) => [spelled(one.tokens), sumOf(one)]),
      finished: finished.map(({ tokens }) => spelled(tokens)),
    });
  }
}

const isClose = (actual: number, expected: number): void =>
  expect(Math.abs(actual - expected)).toBeLessThan(tolerance);

describe('beam_search.json', () => {
  const runs = cases.filter(({ name }) => /^(beam_k|discriminating)/.test(name));

  test.each(runs)('$name', async ({ input, expected }) => {
    const { beam_width: k, max_len: maxTokens, length_penalty: penalty } = input;
    const early = input.early_stopping === 'never' ? 'never' : input.early_stopping === 'true';
    const tree = new ChainTree({ chain: input.model_override ?? model, maxTokens });
    const { steps, ranked } = await searched(tree, { k, penalty, early });
    expect(steps).toHaveLength(expected.steps);
    expect(ranked.map(({ tokens }) => spelled(tokens))).toEqual(
      expected.result.map(({ seq }) => seq),
    );
    ranked.forEach((branch, i) => {
      isClose(sumOf(branch), expected.result[i]!.sum_logprob);
      isClose(normalised(sumOf(branch), branch.tokens.length, penalty), expected.result[i]!.score);
    });
    for (const [i, { live, finished }] of (expected.trace ?? []).slice(0, -1).entries()) {
      expect(steps[i]!.live.map(([seq]) => seq)).toEqual(live.map(([seq]) => seq));
      live.forEach(([, sum], n) => isClose(steps[i]!.live[n]![1], sum));
      expect(steps[i]!.finished).toEqual(finished.map(([seq]) => seq));
    }
  });

  test('covers every beam of the file', () => {
    expect(runs).toHaveLength(18);
    expect(cases).toHaveLength(25);
  });

  test.each(['0.0', '1.0'])(
    'exhaustive, length penalty %s: the chain is the one meant',
    (power) => {
      type Top = { readonly top: readonly Hypothesis[] };
      const { input, expected } = vectorCase<Input, Top>(
        FILE,
        `exhaustive_top5_length_penalty_${power}`,
      );
      const all = answers(input.max_len)
        .map((tokens) => ({
          seq: spelled(tokens),
          sum: logProbOf(model, tokens),
          n: tokens.length,
        }))
        .map((one) => ({ ...one, score: normalised(one.sum, one.n, input.length_penalty) }))
        .toSorted((a, b) => b.score - a.score);
      expected.top.forEach(({ seq, score, sum_logprob: sum }, i) => {
        expect(all[i]!.seq).toBe(seq);
        isClose(all[i]!.score, score);
        isClose(all[i]!.sum, sum);
      });
    },
  );

  test.each([1, 64])('reward-guided, width %i: ranks by the unnormalised sum', async (k) => {
    interface Guided {
      readonly token_reward: Readonly<Record<string, number>>;
      readonly weight: number;
      readonly max_len: number;
    }
    type Best = { seq: string; objective: number; sum_logprob: number; sum_reward: number };
    const { input, expected } = vectorCase<Guided, Best>(FILE, `reward_guided_beam_k${k}_`);
    const rewards = ['a', 'b', 'c', '</s>'].map((token) => input.token_reward[token]!);
    const tree = new ChainTree({
      chain: model,
      maxTokens: input.max_len,
      bend: (_, token) => input.weight * rewards[token]!,
    });
    const { ranked } = await searched(tree, { k });
    expect(spelled(ranked[0]!.tokens)).toBe(expected.seq);
    isClose(sumOf(ranked[0]!), expected.objective);
    isClose(ranked[0]!.base, expected.sum_logprob);
    isClose(
      ranked[0]!.tokens.reduce((sum, token) => sum + rewards[token]!, 0),
      expected.sum_reward,
    );
  });

  test('diverse groups: the second pays for what the first took', () => {
    interface Diverse {
      readonly logits: readonly number[];
      readonly diversity_penalty: number;
    }
    type Out = { group1_token: number; group2_scores: readonly number[]; group2_token: number };
    const { input, expected } = vectorCase<Diverse, Out>(FILE, 'diverse_beam');
    const norm = Math.log(input.logits.reduce((sum, x) => sum + Math.exp(x), 0));
    const nexts = [input.logits.map((x, token) => nextOf(token, x - norm))];
    const start = [{ sum: 0, reward: 0 }];
    const choose = (penalty: (token: number) => number) =>
      chosenOf(bestOf(start, nexts, 2, penalty), 1).live[0]!;
    const first = choose(() => 0).next.token;
    expect(first).toBe(expected.group1_token);
    const penalty = (token: number): number => (token === first ? input.diversity_penalty : 0);
    const second = choose(penalty);
    expect(second.next.token).toBe(expected.group2_token);
    nexts[0]!.forEach(({ token, logprob }) =>
      isClose(logprob - penalty(token), expected.group2_scores[token]!),
    );
    expect(second.sum).toBe(second.next.logprob); // it ranks this step only
  });

  test('length bases', () => {
    interface Lengths {
      readonly sum_logprob: number;
      readonly prompt_tokens: number;
      readonly generated_tokens_incl_eos: number;
      readonly length_penalty: number;
    }
    const { input, expected } = vectorCase<Lengths, Record<string, number>>(FILE, 'length_basis');
    const { sum_logprob: sum, prompt_tokens: prompt, generated_tokens_incl_eos: n } = input;
    const score = (length: number): number => normalised(sum, length, input.length_penalty);
    isClose(score(lengthOf(prompt, n, true, 'generated')), expected.generated_incl_eos!);
    isClose(
      score(lengthOf(prompt, n, true, 'full')),
      expected.total_incl_prompt_excl_eos_vllm_and_older_hf!,
    );
    isClose(score(lengthOf(prompt, n, false, 'full')), expected.total_incl_prompt_and_eos!);
    isClose(score(n - 1), expected.generated_excl_eos!);
  });
});

describe('over the engine', () => {
  const { engine } = fakeEngine({ endBias: 0.5 });
  const params = (fields: object) =>
    strategies.beam!.parse(fields, { maxTokens: 20, judged: false });
  const texts = async (strategy: string, fields: object, ask: object) => {
    const { choices, bugs } = await ran(
      engine,
      planOf({ strategy, params: strategy === 'beam' ? params(fields) : fields, ...ask }),
    );
    expect(bugs).toEqual([]);
    return choices[0]!;
  };

  test('width 1 without penalty equals greedy, guided or not, token for token', async () => {
    for (const early of [true, false, 'never'])
      for (const prompt of [[1], [2, 3], [4, 5, 6], [7, 8], [9, 9, 9], [3, 1, 2, 2]])
        for (const guides of [[], [['kind', 1.5]] as const]) {
          const ask = { prompt, guides };
          const narrow = await texts('beam', { width: 1, early_stopping: early }, ask);
          const greedy = { ...ask, sampling: { temperature: 0 } };
          const expected = await texts('sample', {}, greedy);
          expect(narrow.draws).toEqual(expected.draws);
          expect(narrow.text).toBe(expected.text);
          expect(narrow.report!.kl).toBeCloseTo(expected.report!.kl, 12);
        }
  });

  test('width 1 is greedy under bias, penalties and truncation too', async () => {
    const rules: Partial<Sampling>[] = [
      {
        logitBias: [
          [3, 4],
          [1, -100],
          [7, 1.5],
        ],
      },
      { frequencyPenalty: 1.5, presencePenalty: 0.5 },
      { repetitionPenalty: 1.4, logitBias: [[2, -2]] },
      { repetitionPenalty: 0.7 },
    ];
    for (const sampling of rules)
      for (const guides of [[], [['kind', 1.5]] as const]) {
        const narrow = await texts('beam', { width: 1 }, { sampling, guides });
        const greedy = { sampling: { ...sampling, temperature: 0 }, guides };
        const expected = await texts('sample', {}, greedy);
        expect(narrow.draws).toEqual(expected.draws);
      }
  });

  test('what top_k, top_p or a bias rule out is in no hypothesis', async () => {
    const one = await texts('beam', { width: 3 }, { sampling: { topK: 1 } });
    const greedy = await texts('sample', {}, { sampling: { temperature: 0 } });
    expect(one.draws).toEqual(greedy.draws);
    const banned = greedy.draws[0]!.token;
    const without = await texts(
      'beam',
      { width: 3 },
      { sampling: { logitBias: [[banned, -100]] } },
    );
    expect(without.draws.some(({ token }) => token === banned)).toBe(false);
    const nucleus = await texts('beam', { width: 3 }, { sampling: { topP: 0.2 }, top: 27 });
    for (const { token, top } of nucleus.draws) {
      const likelier = top.slice(
        0,
        top.findIndex((one) => one.token === token),
      );
      expect(likelier.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeLessThan(0.2);
    }
  });

  describe('with a reward', () => {
    const judged = planSum(use('r'));
    const guided = async (fields: object, value: (text: string) => number, ask: PlanAsk = {}) => {
      const rewardOf_ = () => composed(judged, loaded(fakeReward('r', ({ text }) => value(text))));
      const plan = planOf({
        strategy: 'beam',
        params: strategies.beam!.parse(fields, { maxTokens: 20, judged: true }),
        reward: judged,
        ...ask,
      });
      const { choices, bugs } = await ran(engine, plan, { rewardOf: rewardOf_ });
      expect(bugs).toEqual([]);
      return choices[0]!;
    };
    const es = (text: string): number => [...text].filter((c) => c === 'e').length;

    test('of nothing, or of weight 0, is the likelihood beam', async () => {
      const plain = await texts('beam', { width: 3 }, {});
      expect((await guided({ width: 3 }, () => 7)).draws).toEqual(plain.draws);
      expect((await guided({ width: 3, reward_weight: 0 }, es)).draws).toEqual(plain.draws);
    });

    test('finds what the reward likes, more of it the more it weighs, and reports the score', async () => {
      const counts: number[] = [];
      for (const reward_weight of [0, 1, 20]) {
        const { text, report } = await guided({ width: 3, reward_weight }, es);
        counts.push(es(text));
        const selected = report!.candidates.find(({ status }) => status === 'selected');
        expect(selected!.score).toBe(reward_weight === 0 ? null : es(text));
      }
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(counts[2]!).toBeGreaterThan(counts[0]!);
    });

    test('takes the better of the two likeliest by log p + w R at width 1', async () => {
      const reward = ({ tokens }: Pick<Branch, 'tokens'>): number =>
        tokens.reduce((sum, token, i) => sum + Math.sin(3 * token + i), 0);
      for (const w of [0, 0.5, 2, -1]) {
        const tokens: number[] = [];
        for (let ended = false; !ended && tokens.length < 6;) {
          const law = logRow(model, tokens.at(-1)).map((logp, token) => ({ logp, token }));
          const two = law.toSorted((a, b) => b.logp - a.logp).slice(0, 2);
          const values = two.map(
            ({ logp, token }) => logp + w * reward({ tokens: [...tokens, token] }),
          );
          const { token } = two[values[0]! >= values[1]! ? 0 : 1]!;
          tokens.push(token);
          ended = token === 3;
        }
        const tree = new ChainTree({ chain: model, maxTokens: 6, reward });
        const { ranked } = await searched(tree, { w });
        expect(ranked[0]!.tokens).toEqual(tokens);
      }
    });

    test('reads no token twice all the same', async () => {
      const { engine: fresh, models } = fakeEngine({ endBias: -100 });
      const plan = planOf({
        strategy: 'beam',
        params: strategies.beam!.parse({ width: 4 }, { maxTokens: 12, judged: true }),
        reward: judged,
        maxTokens: 12,
      });
      await ran(fresh, plan);
      expect(models.policy.work.prefillTokens).toBe(4);
      expect(models.policy.work.rows).toBe(11 * 4);
      fresh.audit();
    });
  });

  test('wider beams find answers at least as likely', async () => {
    const sum = async (width: number): Promise<number> => {
      const { draws } = await texts('beam', { width }, { maxTokens: 8 });
      return draws.reduce((total, { logprob }) => total + logprob, 0);
    };
    expect(await sum(8)).toBeGreaterThanOrEqual(await sum(1));
  });

  test('no token is ever read twice: KV moves by forks', async () => {
    const { engine: fresh, models } = fakeEngine({ endBias: -100 });
    await ran(fresh, planOf({ strategy: 'beam', params: params({ width: 4 }), maxTokens: 12 }));
    expect(models.policy.work.prefillTokens).toBe(4);
    expect(models.policy.work.rows).toBe(11 * 4);
    fresh.audit();
  });

  test('groups differ where a plain beam does not, and the likeliest answer stays first', async () => {
    const tree = (): ChainTree => new ChainTree({ chain: model, maxTokens: 4 });
    const starts = ({ ranked }: Awaited<ReturnType<typeof searched>>): number =>
      new Set(ranked.map(({ tokens }) => tokens[0])).size;
    const grouped = await searched(tree(), { k: 3, G: 3, lambda: 5 });
    expect(starts(grouped)).toBe(3);
    expect(starts(await searched(tree(), { k: 3, G: 3, lambda: 0 }))).toBe(1);
    const sums = grouped.ranked.map(sumOf);
    expect(sums).toEqual(sums.toSorted((a, b) => b - a));
  });

  test('commits in mid-search as soon as all hypotheses agree', async () => {
    const { engine: endless } = fakeEngine({ endBias: -100 });
    const plan = planOf({ strategy: 'beam', params: params({ width: 2 }), maxTokens: 40 });
    const { events } = await ran(endless, plan);
    expect(events.filter(({ kind }) => kind === 'commit').length).toBeGreaterThan(1);
  });
});
