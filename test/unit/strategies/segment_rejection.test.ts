import { describe, expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import { isBoundary } from '../../../src/engine/job.ts';
import {
  acceptance,
  segmentRejection,
  threshold,
  type SegmentRejection,
} from '../../../src/strategies/segment_rejection.ts';
import { ChainTree, type Chain } from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { model } = vectors('beam_search.json') as unknown as { readonly model: Chain };

test('a segment ends where the policy is unsure, once it has its least length', () => {
  interface Segment {
    readonly next_token_entropy_after_n_tokens: readonly number[];
    readonly min_len: number;
    readonly max_len: number;
    readonly threshold: number;
  }
  const { input, expected } = vectorCase<Segment, { segment_length: number }>(
    'token_guidance.json',
    'cards_segment_end',
  );
  const until = { entropy: input.threshold, least: input.min_len };
  const end = input.next_token_entropy_after_n_tokens.findIndex((entropy, drawn) =>
    isBoundary({ until, drawn }, entropy),
  );
  expect(end).toBe(expected.segment_length);
});

test('the threshold rises from r0 to r*, and no further', () => {
  expect(threshold(0, 100, -2, 8)).toBe(-2);
  expect(threshold(50, 100, -2, 8)).toBe(3);
  expect(threshold(100, 100, -2, 8)).toBe(8);
  expect(threshold(50, 100, 10, 8)).toBe(8); // a prompt above the target is not held to more than it
});

test('acceptance is certain above the bar and falls by e per beta below it', () => {
  expect(acceptance(3, 2, 0.7)).toBe(1);
  expect(acceptance(2, 2, 0.7)).toBe(1);
  expect(acceptance(1.3, 2, 0.7)).toBeCloseTo(Math.exp(-1), 12);
  expect(acceptance(-Infinity, 2, 0.7)).toBe(0);
});

describe('search', () => {
  const PLAIN: SegmentRejection = { segment: { tokens: 2 }, beta: 0.2, target: 3, a: 0.5, M: 20 };
  const reward = ({ tokens }: Branch): number => tokens.filter((token) => token === 1).length;
  async function searched(params: Partial<SegmentRejection>, seed: number, score = reward) {
    const tree = new ChainTree({ chain: model, maxTokens: 8, seed, reward: score });
    const search = segmentRejection.search(tree, { ...PLAIN, ...params });
    const widths: number[] = [];
    for (;;) {
      const { done, value } = await search.next();
      if (done) return { answer: value[0]!, widths };
      widths.push(value.length);
    }
  }
  const mean = async (params: Partial<SegmentRejection>): Promise<number> => {
    let sum = 0;
    for (let seed = 0; seed < 60; seed++) sum += reward((await searched(params, seed)).answer);
    return sum / 60;
  };

  test('rejects what falls short: the higher the target, the better the answer', async () => {
    const [low, high] = [await mean({ target: -5 }), await mean({ target: 4 })];
    expect(high).toBeGreaterThan(low + 1);
  });

  test('a target below every reward accepts all: one segment after another', async () => {
    const { answer, widths } = await searched({ target: -100 }, 3);
    expect(widths.every((n) => n === 1)).toBe(true);
    expect(widths).toHaveLength(Math.ceil(answer.tokens.length / 2));
  });

  test('after M rejections the best seen is taken', async () => {
    const { answer, widths } = await searched({ target: 1000, M: 3 }, 5);
    expect(answer.finish).not.toBeNull();
    expect(widths.filter((n) => n === 2)).toHaveLength((widths.length / 4) * 3);
  });

  test('a quantile that nobody stored is taken from answers drawn for it', async () => {
    const [low, high] = [
      await mean({ target: { quantile: 0 } }),
      await mean({ target: { quantile: 1 } }),
    ];
    expect(high).toBeGreaterThan(low + 0.5);
  });

  test('a segment without a score is never accepted; where none has one, the last is taken', async () => {
    const noB = (branch: Branch): number => (branch.tokens.includes(1) ? NaN : 10);
    for (let seed = 0; seed < 20; seed++) {
      const { answer } = await searched({ target: -100 }, seed, noB);
      expect(answer.tokens).not.toContain(1);
    }
    const { answer, widths } = await searched({ target: 1, M: 4 }, 1, () => NaN);
    expect(answer.finish).not.toBeNull();
    expect(widths.slice(0, 5)).toEqual([2, 2, 2, 2, 1]);
  });

  test('a target that no answer has a score for fails the request', async () => {
    const blind = searched({ target: { quantile: 0.5 } }, 1, () => NaN);
    await expect(blind).rejects.toThrow('no candidate has a score');
  });
});

describe('parse', () => {
  const context = { maxTokens: 100, judged: true };
  test('defaults are those of the reference', () => {
    const params = segmentRejection.parse({ target: 8.5 }, context);
    const segment = { tokens: 64, until: { entropy: 3, least: 4 } };
    expect(params).toEqual({ segment, beta: 0.7, target: 8.5, a: 0.5, M: 20 });
  });

  test('a quantile is looked up where it is stored', () => {
    const rewardQuantile = (q: number): number => 10 * q;
    const target = (stored: object) => segmentRejection.parse({}, { ...context, ...stored }).target;
    expect(target({ rewardQuantile })).toBe(9.5);
    expect(target({ rewardQuantile: () => null })).toEqual({ quantile: 0.95 });
    expect(target({})).toEqual({ quantile: 0.95 });
  });
});
