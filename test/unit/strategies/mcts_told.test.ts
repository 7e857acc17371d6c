/** The tree of a search as it is told: its nodes, and the values that a value model should have given them. */

import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { misfit } from '../../../src/core/fields.ts';
import type { Branch, Finish } from '../../../src/core/tree.ts';
import { mcts } from '../../../src/strategies/mcts.ts';
import { nodeOf, type Node } from '../../../src/strategies/mcts_node.ts';
import { target, told, type Truth } from '../../../src/strategies/mcts_told.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';
import { vectorCase } from '../../fakes/vectors.ts';

test('vector value_targets', () => {
  const { input, expected } = vectorCase<
    { parent: number[]; r: (1 | -1)[]; min_steps_to_correct: number[] },
    { value: number[] }
  >('mcts.json', 'value_targets');
  input.parent.forEach((parent, i) => {
    const value = target(parent, input.r[i]!, input.min_steps_to_correct[i]!);
    expect(value).toBeCloseTo(expected.value[i]!, 12);
  });
});

const branchOf = (text: string, finish: Finish | null): Branch =>
  ({ text, finish, tokens: [...text].map(() => 1) }) as unknown as Branch;

/** A node, and what stands below it. @param adds to the text above; one that ends in a point has finished */
type Step = readonly [adds: string, ...below: Step[]];

function grown([adds, ...below]: Step, parent: Node | null = null): Node {
  const text = (parent?.made.text ?? '') + adds;
  const node = nodeOf(branchOf(text, adds.endsWith('.') ? 'stop' : null), parent, below.length);
  node.children = below.map((step) => grown(step, node));
  return node;
}

const NUMBER: Truth = { answer: { extract: 'regex', pattern: 'after_hashes' }, truth: '7' };
const targetsOf = (step: Step, by: Truth = NUMBER) =>
  Object.fromEntries(told(grown(step), by).map(({ text, target: value }) => [text, value]));

describe('targets', () => {
  test('rise by equal shares on the way to a right answer, and fall off it', () => {
    const values = targetsOf(['', ['a', ['b', ['#### 7.']], ['x', ['#### 8.']]], ['c', ['d']]]);
    expect(values).toEqual({
      '': 0,
      a: expect.closeTo(1 / 3, 12), // three steps to it
      b: expect.closeTo(2 / 3, 12),
      '#### 7.': 1,
      x: expect.closeTo(1 / 3 - (1 - 1 / 3) / 3, 12), // of the three that were to go from a
      '#### 8.': 0, // never below
      c: null, // no answer follows
      d: null,
    });
  });

  test('the nearest right answer counts, and a wrong one beside it takes nothing off the way', () => {
    const values = targetsOf(['', ['a', ['#### 07.'], ['b', ['#### 7.']], ['#### 1.']]]);
    expect(values['a']).toBeCloseTo(0.5, 12);
    expect(values['#### 07.']).toBe(1);
    expect(values['b']).toBeCloseTo(0.75, 12);
    expect(values['#### 1.']).toBeCloseTo(0.25, 12);
  });

  test('nothing is known where no answer is right, or nobody said what is', () => {
    const wrong: Step = ['', ['a', ['#### 8.']]];
    expect(new Set(Object.values(targetsOf(wrong)))).toEqual(new Set([null]));
    const unsaid = { ...NUMBER, truth: null };
    expect(new Set(Object.values(targetsOf(['', ['#### 7.']], unsaid)))).toEqual(new Set([null]));
  });

  test('an end without an answer is wrong; an answer before the end is one; words are held without case', () => {
    const by: Truth = { answer: { extract: 'regex', pattern: 'choice' }, truth: 'B' };
    const nodes = told(grown(['', ['well.'], ['(b)'], ['(B).'], ['(a)'], ['so']]), by);
    expect(nodes.map(({ right }) => right)).toEqual([null, false, true, true, false, null]);
  });
});

test('nodes are told parents first, each with what it adds', () => {
  const root = grown(['', ['ab', ['cd.']], ['e']]);
  root.children[0]!.visits = 3;
  const common = { right: null, target: null };
  expect(told(root, { answer: null, truth: null })).toEqual([
    { parent: null, text: '', tokens: 0, value: 2, visits: 0, ...common },
    { parent: 0, text: 'ab', tokens: 2, value: 1, visits: 3, ...common },
    { parent: 0, text: 'e', tokens: 1, value: 0, visits: 0, ...common },
    { parent: 1, text: 'cd.', tokens: 5, value: 0, visits: 0, ...common },
  ]);
});

describe('a request', () => {
  const CONTEXT = { maxTokens: 20, judged: true };
  const judged = sumOf(use('r'));
  const of = () => composed(judged, loaded(fakeReward('r', ({ text }) => text.length / 100)));
  const searched = async (fields: object, ask: object) => {
    const params = mcts.parse({ segment: { tokens: 2 }, end_gate: 9, ...fields }, CONTEXT);
    const plan = planOf({ strategy: 'mcts', params, reward: judged, ...ask });
    const { choices, bugs } = await ran(fakeEngine().engine, plan, { rewardOf: of });
    expect(bugs).toEqual([]);
    return choices[0]!;
  };

  test('that explains is told the tree that led to its answer, as it was when it was searched', async () => {
    const { text, report } = await searched({ iterations: 12 }, { explain: true });
    const tree = report!.search.tree!;
    const whole = (i: number): string => {
      const { parent, text: own } = tree[i]!;
      return parent === null ? own : whole(parent) + own;
    };
    expect(tree[0]).toMatchObject({ parent: null, tokens: 0 });
    expect(tree.length).toBeGreaterThan(10);
    tree.forEach(({ parent, tokens }, i) => {
      expect(parent ?? -1).toBeLessThan(i);
      if (parent !== null) expect(tokens - tree[parent]!.tokens).toBeLessThanOrEqual(2);
    });
    expect(tree.some(({ tokens }, i) => tokens > 2 && text.startsWith(whole(i)))).toBe(true);
  });

  test('that does not is told none, and one whose budget ran out what there was', async () => {
    expect((await searched({ iterations: 5 }, {})).report!.search).not.toHaveProperty('tree');
    const cut = await searched({ iterations: 50 }, { explain: true, budget: 60 });
    expect(cut.report!.exhausted).toBe('tokens');
    expect(cut.report!.search.tree!.length).toBeGreaterThan(3);
  });

  test('that says what is right must say where answers stand', () => {
    const refusal = (fields: object): string => {
      try {
        mcts.parse(fields, CONTEXT);
      } catch (error) {
        return misfit(error as z.ZodError, 'alignment.strategy').message;
      }
      throw new Error('accepted');
    };
    expect(refusal({ truth: '7' })).toMatch(
      /^alignment.strategy.answer .*an extractor beside truth/,
    );
    expect(mcts.parse({ truth: '7', answer: { extract: 'last_number' } }, CONTEXT)).toMatchObject({
      truth: '7',
    });
  });
});
