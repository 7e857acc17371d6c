import { describe, expect, test } from 'vitest';
import type { Branch } from '../../../src/core/tree.ts';
import { mcts, type Mcts } from '../../../src/strategies/mcts.ts';
import {
  backed,
  backUp,
  mixed,
  nodeOf,
  uct,
  type Node,
} from '../../../src/strategies/mcts_node.ts';
import { ChainTree, type Chain } from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';

const { model } = vectors('beam_search.json') as unknown as { readonly model: Chain };

describe('mcts.json', () => {
  test('a value is the visit-weighted mean of the children', () => {
    type In = { children_value_visits: [number, number][] };
    const { input, expected } = vectorCase<In, { value: number }>('mcts.json', 'backprop_value');
    const children = input.children_value_visits.map(([value, visits]) => ({ value, visits }));
    expect(backed(children)).toBeCloseTo(expected.value, 12);
    expect(backed([{ value: 1, visits: 0 }])).toBeNull();
  });

  test('a rollout is mixed in', () => {
    type In = { value: number; rollout_max: number; alpha: number };
    const { input, expected } = vectorCase<In, { value: number }>('mcts.json', 'rollout_mix');
    expect(mixed(input.value, input.rollout_max, input.alpha)).toBeCloseTo(expected.value, 12);
  });
});

test('UCT: an unvisited child stands at V + 1, so an explored one can win before all are tried', () => {
  expect(uct(0.2, 0, 9, 0.7)).toBeCloseTo(1.2, 12);
  expect(uct(0.9, 1, 3, 0.7)).toBeCloseTo(0.9 + 0.7 * Math.sqrt(2 * Math.log(3)), 12);
  expect(uct(0.9, 1, 3, 0.7)).toBeGreaterThan(uct(0.2, 0, 3, 0.7));
  expect(uct(0.5, 1, 0, 0.7)).toBe(0.5); // ln 0 of a parent that was never visited
});

test('a backup counts the visit on every level, up to the root', () => {
  const branch = new ChainTree({ chain: model, maxTokens: 4 }).root;
  const node = (parent: Node | null, value: number): Node => {
    const made = nodeOf(branch, parent, value);
    parent?.children.push(made);
    return made;
  };
  const root = node(null, 0);
  const [left, right] = [node(root, 0.4), node(root, 0.8)];
  backUp(left);
  backUp(right);
  backUp(right);
  expect([root.visits, left.visits, right.visits]).toEqual([3, 1, 2]);
  expect(root.value).toBeCloseTo((0.4 + 2 * 0.8) / 3, 12);
});

describe('search', () => {
  const PLAIN: Mcts = {
    b: 3,
    c: 0.7,
    a: 0.5,
    gate: 10,
    segment: { tokens: 2 },
    iterations: 12,
    patience: Infinity,
    rollForward: 3,
    rollBranch: 1,
    answer: null,
    truth: null,
  };
  /** Share of b among eight. */
  const reward = ({ tokens }: Branch): number => tokens.filter((token) => token === 1).length / 8;
  async function searched(params: Partial<Mcts>, seed: number, value = reward) {
    const tree = new ChainTree({ chain: model, maxTokens: 8, seed, reward: value });
    const search = mcts.search(tree, { ...PLAIN, ...params });
    for (let yields = 0; ; yields++) {
      const { done, value: branches } = await search.next();
      if (done) return { answer: branches[0]!, yields };
    }
  }
  const mean = async (params: Partial<Mcts>): Promise<number> => {
    let sum = 0;
    for (let seed = 0; seed < 60; seed++) sum += reward((await searched(params, seed)).answer);
    return sum / 60;
  };

  test('more iterations find better answers, each run to its end', async () => {
    const [none, few, many] = [
      await mean({ iterations: 1, b: 1, rollForward: 0 }),
      await mean({ iterations: 3 }),
      await mean({ iterations: 20 }),
    ];
    expect(few).toBeGreaterThan(none);
    expect(many).toBeGreaterThan(few);
    expect((await searched({}, 4)).answer.finish).not.toBeNull();
  });

  test('stops at a leaf whose value reaches the gate', async () => {
    const { yields } = await searched({ gate: 0.01, iterations: 100 }, 2, () => 0.5);
    expect(yields).toBeLessThan(4);
  });

  test('stops once its best leaf has stayed the same for so long', async () => {
    const ask = { gate: 10, iterations: 60 };
    let [all, few] = [0, 0];
    for (let seed = 0; seed < 12; seed++) {
      const whole = await searched(ask, seed);
      const patient = await searched({ ...ask, patience: 1000 }, seed);
      expect(patient).toMatchObject({
        yields: whole.yields,
        answer: { tokens: whole.answer.tokens },
      });
      const stopped = await searched({ ...ask, patience: 2 }, seed);
      expect(stopped.yields).toBeLessThanOrEqual(whole.yields);
      expect(stopped.answer.finish).not.toBeNull();
      [all, few] = [all + whole.yields, few + stopped.yields];
    }
    expect(few).toBeLessThan(all / 2);
  });

  test.each([1, 3])(
    'segments that cannot be judged fail no search, %d per expansion',
    async (b) => {
      /** But for the first token, a text with an a in it has no score. */
      const isUnjudged = ({ tokens }: Branch): boolean => tokens.slice(1).includes(0);
      const value = (branch: Branch): number => (isUnjudged(branch) ? NaN : reward(branch));
      let unjudged = 0;
      for (let seed = 0; seed < 30; seed++) {
        const counted = (branch: Branch): number => {
          unjudged += Number(isUnjudged(branch));
          return value(branch);
        };
        const tree = new ChainTree({ chain: model, maxTokens: 8, seed, reward: counted });
        const search = mcts.search(tree, { ...PLAIN, b, segment: { tokens: 1 } });
        for (;;) {
          const { done, value: branches } = await search.next();
          if (done) {
            expect(branches[0]!.finish).not.toBeNull();
            break;
          }
          if (branches.length > 1) expect(branches.some(isUnjudged)).toBe(false); // one alone runs to its end
        }
      }
      expect(unjudged).toBeGreaterThan(0);
    },
  );

  test('equal texts are one child', async () => {
    const certain: Chain = { initial: [0, 1, 0, 0], transition: { b: [0, 1, 0, 0] } };
    const tree = new ChainTree({ chain: certain, maxTokens: 8, reward });
    const search = mcts.search(tree, PLAIN);
    const { value } = await search.next();
    expect(value).toHaveLength(1);
  });

  test('a leaf that has an answer is not expanded, and its text runs to its end', async () => {
    const answer = { extract: 'last_number' } as const;
    const vocabulary = ['1', '2', '3', ''];
    const tree = new ChainTree({ chain: model, maxTokens: 8, reward, vocabulary });
    const search = mcts.search(tree, { ...PLAIN, answer, iterations: 100 });
    for (let yields = 0; ; yields++) {
      const { done, value } = await search.next();
      if (done) {
        expect(value[0]!.finish).not.toBeNull();
        return expect(yields).toBeLessThanOrEqual(2); // the root's children, and the end of the best
      }
      const longest = Math.max(...value.map(({ tokens }) => tokens.length));
      if (yields === 0) expect(longest).toBeLessThanOrEqual(2);
    }
  });

  test('a search whose leaves have all ended goes on no further', async () => {
    const { yields } = await searched({ segment: { tokens: 8 }, iterations: 100 }, 1);
    expect(yields).toBe(1);
  });
});
