import { expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import { segmentBeam, tiled } from '../../../src/strategies/segment_beam.ts';
import { best } from '../../../src/strategies/select.ts';
import { ChainTree, type Chain } from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { model } = vectors('beam_search.json') as unknown as { readonly model: Chain };

/** Forks that are the branch itself: only order and count matter. */
const forks = { fork: (branch: Branch, n: number) => Array.from({ length: n }, () => branch) };
const scored = (values: readonly number[]) => values.map((value) => ({ value, parts: {} }));
const named = (id: number): Branch => ({
  id,
  tokens: [],
  draws: [],
  text: '',
  logprob: 0,
  base: 0,
  logZ: 0,
  states: null,
  finish: null,
});

test('chunk-level selection: stable, and survivors repeat as a whole list', () => {
  interface Pool {
    readonly pool: readonly { readonly id: string; readonly score: number }[];
    readonly w: number;
    readonly k: number;
  }
  type Out = { survivors: readonly string[]; next_pool_parents: readonly string[] };
  const { input, expected } = vectorCase<Pool, Out>('beam_search.json', 'chunk_level_selection');
  const pool = input.pool.map((_, i) => named(i));
  const kept = best(pool, scored(input.pool.map(({ score }) => score)), input.w);
  const ids = (branches: readonly Branch[]): string[] => branches.map(({ id }) => `p${id}`);
  expect(ids(kept)).toEqual(expected.survivors);
  expect(ids(tiled(forks, kept, input.k))).toEqual(expected.next_pool_parents);
});

test('a finished hypothesis competes once, and is not extended', () => {
  const [live, done] = [named(0), { ...named(1), finish: 'stop' as const }];
  expect(tiled(forks, [done, live], 3)).toEqual([done, live, live, live]);
});

test('blockwise best of K takes the first of the best', () => {
  interface Blocks {
    readonly block_values: readonly number[];
  }
  const { input, expected } = vectorCase<Blocks, { chosen: number }>(
    'token_guidance.json',
    'blockwise_best_of_K',
  );
  const pool = input.block_values.map((_, i) => named(i));
  expect(best(pool, scored(input.block_values), 1)[0]!.id).toBe(expected.chosen);
});

test('a candidate without a score is out; where none has one, they stand as they are', () => {
  const pool = [named(0), named(1), named(2)];
  expect(best(pool, scored([NaN, -Infinity, NaN]), 3).map(({ id }) => id)).toEqual([1]);
  expect(best(pool, scored([NaN, NaN, NaN]), 2).map(({ id }) => id)).toEqual([0, 1]);
});

test('finds better answers by its reward, the more it tries', async () => {
  const reward = ({ tokens }: Branch): number => tokens.filter((token) => token === 1).length;
  const found = async (K: number): Promise<number> => {
    let sum = 0;
    for (let seed = 0; seed < 40; seed++) {
      const tree = new ChainTree({ chain: model, maxTokens: 8, seed, reward });
      const search = segmentBeam.search(tree, { W: 2, K, segment: { tokens: 2 } });
      for (;;) {
        const { done, value } = await search.next();
        if (!done) continue;
        sum += reward(value[0]!);
        break;
      }
    }
    return sum / 40;
  };
  const [few, some, many] = [await found(1), await found(3), await found(9)];
  expect(some).toBeGreaterThan(few + 0.5);
  expect(many).toBeGreaterThan(some);
});
