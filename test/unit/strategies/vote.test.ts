import { describe, expect, test } from 'vitest';
import type { Branch, Reach } from '../../../src/core/tree.ts';
import { ranked } from '../../../src/strategies/select.ts';
import { tally, winner } from '../../../src/strategies/tally.ts';
import { vote, type Vote } from '../../../src/strategies/vote.ts';
import { ChainTree, type Chain } from '../../fakes/chain.ts';
import { nextOf } from '../../fakes/engine.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { model } = vectors('beam_search.json') as unknown as { readonly model: Chain };

describe('voting.json', () => {
  interface Ballot {
    readonly answers: readonly (string | null)[];
    readonly rewards: readonly number[];
    readonly filter_threshold: number;
  }
  interface Sums {
    readonly counts?: Readonly<Record<string, number>>;
    readonly sums?: Readonly<Record<string, number>>;
    readonly winner: string;
  }
  interface Out {
    readonly majority: Sums;
    readonly weighted: Sums;
    readonly sigmoid_weighted: Sums;
    readonly best_of_n_among_answered: number;
    readonly best_of_n_index_all: number;
    readonly filtered_indices: readonly number[];
    readonly filtered_majority: Sums;
  }
  const { input, expected } = vectorCase<Ballot, Out>('voting.json', 'vote');
  const agrees = (
    sums: Map<string, number>,
    { counts, sums: weights, winner: who }: Sums,
  ): void => {
    const wanted = counts ?? weights!;
    expect([...sums.keys()].toSorted()).toEqual(Object.keys(wanted).toSorted());
    for (const [answer, sum] of sums) expect(sum).toBeCloseTo(wanted[answer]!, 9);
    expect(winner(sums)).toBe(who);
  };

  test('majority, weighted and sigmoid-weighted', () => {
    const { answers, rewards } = input;
    agrees(tally(answers, null, 'majority'), expected.majority);
    agrees(tally(answers, rewards, 'weighted'), expected.weighted);
    agrees(tally(answers, rewards, 'sigmoid'), expected.sigmoid_weighted);
  });

  test('the best answer, and the best text whether it answers or not', () => {
    const { answers, rewards } = input;
    const sums = tally(answers, rewards, 'best');
    expect(winner(sums)).toBe(answers[expected.best_of_n_among_answered]);
    expect(Math.max(...sums.values())).toBe(rewards[expected.best_of_n_among_answered]);
    const branches = rewards.map((_, id) => ({ id }) as Branch);
    const scores = rewards.map((value) => ({ value, parts: {} }));
    expect(ranked(branches, scores)[0]!.id).toBe(expected.best_of_n_index_all);
  });

  test('filtered majority', () => {
    const kept = [...input.rewards.keys()].filter(
      (i) => input.rewards[i]! > input.filter_threshold,
    );
    expect(kept).toEqual(expected.filtered_indices);
    const answers = kept.map((i) => input.answers[i]!);
    agrees(tally(answers, null, 'majority'), expected.filtered_majority);
  });

  test('what the filter saves', async () => {
    interface Lengths {
      readonly lengths: readonly number[];
      readonly decision_token: number;
      readonly scores: readonly number[];
      readonly threshold: number;
    }
    type Out = { tokens_full: number; tokens_filtered: number; saved_fraction: number };
    const { input, expected } = vectorCase<Lengths, Out>('voting.json', 'goal_filter_token_saving');
    const filter = { threshold: input.threshold, at: input.decision_token };
    const spent = async (params: Partial<Vote>): Promise<number> => {
      const tree = new Scripted(input.lengths, input.scores);
      await searched({ n: input.lengths.length, maxTokens: 1000, ...params }, tree);
      return tree.spent;
    };
    expect(await spent({ filter })).toBe(expected.tokens_filtered);
    expect(await spent({})).toBe(expected.tokens_full);
    const share = 1 - (await spent({ filter })) / (await spent({}));
    expect(share).toBeCloseTo(expected.saved_fraction, 9);
  });
});

/** Samples of given lengths and scores. */
class Scripted extends ChainTree {
  spent = 0;
  readonly #lengths: readonly number[];

  constructor(lengths: readonly number[], scores: readonly number[]) {
    const reward = ({ id }: Branch): number => scores[id]!;
    super({ chain: model, maxTokens: 1000, reward });
    this.#lengths = lengths;
  }

  override async extend(branches: readonly Branch[], { tokens }: Reach): Promise<void> {
    for (const branch of branches)
      for (let n = 0; n < tokens && branch.finish === null; n++) {
        const ends = branch.tokens.length + 1 === this.#lengths[branch.id];
        this.push(branch, nextOf(ends ? 3 : 0, 0, 0, ends));
        this.spent++;
      }
  }
}

const PLAIN: Vote = {
  n: 8,
  by: 'majority',
  answer: { extract: 'last_number' },
  filter: null,
  maxTokens: 6,
};

async function searched(params: Partial<Vote>, tree: ChainTree) {
  const search = vote.search(tree, { ...PLAIN, ...params });
  const yields: number[] = [];
  for (;;) {
    const { done, value } = await search.next();
    if (done) return { ranked: value, yields };
    yields.push(value.length);
  }
}

/** No text of the chain has one. */
const choice = { extract: 'regex', pattern: 'choice' } as const;

describe('search', () => {
  test('draws n, in waves where there is room for fewer, and keeps what is not drawn', async () => {
    const { ranked, yields } = await searched({}, new ChainTree({ chain: model, maxTokens: 6 }));
    expect(ranked).toHaveLength(8);
    expect(yields).toEqual([8]);
    const narrow = new ChainTree({ chain: model, maxTokens: 6, width: 3 });
    const waves = await searched({}, narrow);
    expect(waves.yields).toEqual([8, 8, 8]);
    expect(waves.ranked.map(({ tokens }) => tokens)).toEqual(ranked.map(({ tokens }) => tokens));
  });

  test('where nobody answers, the first sample is returned, or the best where there are scores', async () => {
    const reward = ({ id }: Branch): number => (id === 5 ? NaN : id);
    const ask = { chain: model, maxTokens: 6, reward };
    const first = await searched({ answer: choice }, new ChainTree(ask));
    expect(first.ranked.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const scored = await searched({ answer: choice, by: 'weighted' }, new ChainTree(ask));
    expect(scored.ranked.map(({ id }) => id)).toEqual([7, 6, 4, 3, 2, 1, 0, 5]);
  });

  test('a filter that drops everyone leaves the best of them, drawn to its end', async () => {
    const reward = ({ id }: Branch): number => (id === 3 ? -1 : -2);
    const tree = new ChainTree({ chain: model, maxTokens: 6, width: 3, reward });
    const filter = { threshold: 0, at: 1 };
    const { ranked } = await searched({ filter }, tree);
    expect(ranked.map(({ id }) => id)).toEqual([3]);
    expect(ranked[0]!.finish).not.toBeNull();
  });

  test('a filter that can judge nobody leaves the first, drawn to its end', async () => {
    const tree = new ChainTree({ chain: model, maxTokens: 6, width: 3, reward: () => NaN });
    const { ranked } = await searched({ filter: { threshold: 0, at: 1 } }, tree);
    expect(ranked.map(({ id }) => id)).toEqual([0]);
    expect(ranked[0]!.finish).not.toBeNull();
  });

  test('where no answer has a score to vote with, the request fails', async () => {
    const tree = new ChainTree({ chain: model, maxTokens: 6, reward: () => NaN });
    await expect(searched({ by: 'weighted' }, tree)).rejects.toThrow('no candidate has a score');
  });
});

test('a tie goes to the answer first seen; a sample without a score does not vote', () => {
  expect(winner(tally(['2', '1', '1', '2'], null, 'majority'))).toBe('2');
  expect(winner(tally(['2', '1'], [-Infinity, -3], 'weighted'))).toBe('1');
  expect(winner(tally([null], null, 'majority'))).toBeNull();
});
