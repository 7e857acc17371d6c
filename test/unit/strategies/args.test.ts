import { expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import { args, chosen, law, type Args } from '../../../src/strategies/args.ts';
import { ChainTree, spelled, type Chain } from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { model, tolerance } = vectors('beam_search.json') as unknown as {
  readonly model: Chain;
  readonly tolerance: number;
};

async function searched(params: Args, reward: (branch: Branch) => number, seed = 1) {
  const search = args.search(new ChainTree({ chain: model, maxTokens: 5, seed, reward }), params);
  for (;;) {
    const { done, value } = await search.next();
    if (done) return spelled(value[0]!.tokens);
  }
}

test('args_top3: over a tree whose first step has the logits of the case', async () => {
  interface Step {
    readonly logits: readonly number[];
    readonly rewards_of_prefix_plus_token: readonly number[];
    readonly weight: number;
    readonly top_k: number;
    readonly temperature: number;
  }
  interface Out {
    readonly candidates: readonly number[];
    readonly scores: readonly number[];
    readonly greedy: number;
    readonly stochastic_probs: readonly number[];
  }
  const { input, expected } = vectorCase<Step, Out>('token_guidance.json', 'args_top3');
  const values = expected.candidates.map(
    (token) => input.logits[token]! + input.weight * input.rewards_of_prefix_plus_token[token]!,
  );
  values.forEach((value, i) => expect(value).toBeCloseTo(expected.scores[i]!, 9));
  expect(chosen(values, 0, () => 0)).toBe(expected.greedy);
  law(values, input.temperature).forEach((p, i) =>
    expect(Math.abs(p - expected.stochastic_probs[i]!)).toBeLessThan(tolerance),
  );

  const norm = input.logits.reduce((sum, x) => sum + Math.exp(x), 0);
  const initial = input.logits.slice(0, 4).map((x) => Math.exp(x) / norm);
  const tree = new ChainTree({
    chain: { initial, transition: {} },
    maxTokens: 1,
    reward: ({ tokens }) => input.rewards_of_prefix_plus_token[tokens[0]!]!,
  });
  const search = args.search(tree, { k: input.top_k, w: input.weight, tau: 0 });
  await search.next();
  const { value } = await search.next();
  expect(value[0]!.tokens).toEqual([expected.greedy]);
});

test('a draw falls where the law says', () => {
  expect([0.1, 0.5, 0.9].map((u) => chosen([2.15, 2.85, 2.1], 0.7, () => u))).toEqual([0, 1, 2]);
  expect(chosen([NaN, 1, NaN], 0.7, () => 0)).toBe(1);
});

test('weight 0 is greedy; a weight on b turns the answer to it', async () => {
  const reward = ({ tokens }: Branch): number => tokens.filter((token) => token === 1).length;
  expect(await searched({ k: 4, w: 0, tau: 0 }, reward)).toBe('ababa');
  expect(await searched({ k: 4, w: 10, tau: 0 }, reward)).toBe('bbbbb');
});

test('where none of the next tokens can be judged, the policy decides alone', async () => {
  const blindAt = (step: number) => (branch: Branch) =>
    branch.tokens.length === step ? NaN : Number(branch.tokens.at(-1) === 1);
  expect(await searched({ k: 4, w: 10, tau: 0 }, blindAt(0))).toBe('bbbbb');
  expect(await searched({ k: 4, w: 10, tau: 0 }, blindAt(3))).toBe('bbabb');
});

test('an end token ends the answer', async () => {
  const reward = ({ finish }: Branch): number => Number(finish === 'stop');
  expect(await searched({ k: 4, w: 10, tau: 0 }, reward)).toBe('</s>');
});

test('drawing is seeded', async () => {
  const params = { k: 4, w: 1, tau: 1 };
  const all = [];
  for (let seed = 0; seed < 8; seed++) all.push(await searched(params, () => 0, seed));
  expect(new Set(all).size).toBeGreaterThan(2);
  expect(await searched(params, () => 0, 5)).toBe(all[5]);
});
