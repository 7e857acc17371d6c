/** ST-BoN: its numbers, whom it elects and when, and what it is told by a real model. */

import { expect, test } from 'vitest';
import type { StrategyContext } from '../../../src/core/strategy.ts';
import type { Branch, Tree } from '../../../src/core/tree.ts';
import { bestOfN } from '../../../src/strategies/best_of_n.ts';
import {
  areApart,
  chainOfEmbedding,
  mostAlike,
  selfTruncation,
  unlikeness,
  windowFrom,
} from '../../../src/strategies/prune/self_truncation.ts';
import { vectorCase } from '../../fakes/vectors.ts';

const FILE = 'pruning.json';
const CONTEXT: StrategyContext = { maxTokens: 64, judged: false, layerStates: true };

test('vector st_bon_chain_of_embedding', () => {
  const { input, expected } = vectorCase<
    { hidden_layer_sample_dim: number[][][] },
    { feature: number[]; pairwise_score: number[]; winner_this_step: number }
  >(FILE, 'st_bon_chain_of_embedding');
  const layers = input.hidden_layer_sample_dim;
  const ofSample = (i: number): number[][] => layers.map((samples) => samples[i]!);
  const features = layers[0]!.map((_, i) => chainOfEmbedding(ofSample(i)));
  features.forEach((one, i) => expect(one).toBeCloseTo(expected.feature[i]!, 9));
  unlikeness(features).forEach((one, i) => {
    expect(one).toBeCloseTo(expected.pairwise_score[i]!, 9);
  });
  expect(mostAlike(features)).toBe(expected.winner_this_step);
  const sums = ofSample(1).map((layer) => layer.map((x) => 7 * x));
  expect(chainOfEmbedding(sums)).toBeCloseTo(features[1]!, 12); // of a sum as of a mean
});

test('vector st_bon_window', () => {
  const { input, expected } = vectorCase<
    { samples: number[][]; tau_coeff: number },
    { c_first_step_all_prefixes_distinct: number; tau: number; stop_step: number }
  >(FILE, 'st_bon_window');
  const at = (step: number) =>
    input.samples.map((tokens) => ({ tokens: tokens.slice(0, step), finish: null }));
  const first = [1, 2, 3].find((step) => areApart(at(step)))!;
  expect(first).toBe(expected.c_first_step_all_prefixes_distinct);
  const [c, tau] = windowFrom(first, input.tau_coeff);
  expect([tau, c + tau]).toEqual([expected.tau, expected.stop_step]);
});

test('states that do not move, or only in one direction, are no reason to fail', () => {
  const still = [
    [1, 2],
    [1, 2],
    [1, 2],
  ];
  expect(chainOfEmbedding(still)).toBeCloseTo(0, 9);
  expect(
    chainOfEmbedding([
      [0, 0],
      [1, 0],
      [2, 0],
    ]),
  ).toBeTypeOf('number');
  expect(
    chainOfEmbedding([
      [0, 0],
      [1, 0],
      [2, 0],
    ]),
  ).not.toBeNaN();
});

/** What an answer does: its tokens, and how far the middle of its three layers lies off at each step. */
interface Told {
  readonly tokens: readonly number[];
  readonly off: readonly number[];
}

/** A tree whose answers say what they are told to. Their sums of states are made so that F is what `off` says. */
function scripted(told: readonly Told[]) {
  const branches = told.map((_, id) => ({
    id,
    tokens: [] as number[],
    finish: null,
    states: null,
  }));
  const widths: number[] = [];
  const notes: Record<string, number> = {};
  const extend = async (all: readonly Branch[], { tokens }: { tokens: number }): Promise<void> => {
    widths.push(all.length);
    for (const branch of all as unknown as {
      id: number;
      tokens: number[];
      finish: string | null;
      states: number[][] | null;
    }[])
      for (let n = 0; n < tokens && branch.finish === null; n++) {
        const { tokens: script, off } = told[branch.id]!;
        const step = branch.tokens.push(script[branch.tokens.length]!);
        branch.states = [
          [1, 0],
          [1 + off[step - 1]!, 1],
          [0, 1],
        ];
        if (step === script.length) branch.finish = 'stop';
      }
  };
  const note = (name: string, value: number): void => void (notes[name] = value);
  return { tree: { extend, note } as unknown as Tree, branches, widths, notes };
}

async function truncated(told: readonly Told[], fields: object = {}) {
  const { tree, branches, widths, notes } = scripted(told);
  const all = branches as unknown as readonly Branch[];
  const params = selfTruncation.parse(fields, { ...CONTEXT, n: told.length });
  const search = selfTruncation.search(tree, all, params);
  const alive: number[] = [];
  for (;;) {
    const { done, value } = await search.next();
    if (done) return { answer: value[0]!, alive, widths, notes };
    alive.push(value.length);
  }
}

const row = (...tokens: number[]): number[] => tokens;
const even = (x: number, n = 12): number[] => Array.from({ length: n }, () => x);
const long = (start: readonly number[]): number[] => [...start, ...even(9, 12 - start.length)];

test('once no two are alike, it waits as long again, and the one most like the others goes on alone', async () => {
  const told = [
    { tokens: long(row(5, 6, 7)), off: even(0) },
    { tokens: long(row(5, 6, 8)), off: even(0.5) },
    { tokens: long(row(5, 9, 7)), off: even(0.6) },
  ];
  const { answer, alive, widths, notes } = await truncated(told);
  expect(answer.id).toBe(1);
  expect(notes).toEqual({ apart: 3 });
  expect(widths).toEqual([3, 3, 3, 3, 3, 3, 1]);
  expect(alive).toEqual([3, 3, 3, 3, 3, 3, 1, 1]);
  expect(answer.tokens).toHaveLength(12);
});

test('an answer that ends begins the window, however alike the others are, and may be elected', async () => {
  const told = [
    { tokens: long([]), off: even(0) },
    { tokens: row(9, 4), off: even(0.1) },
    { tokens: long([]), off: even(3) },
  ];
  const { answer, widths, notes } = await truncated(told);
  expect(notes).toEqual({ apart: 2 });
  expect(widths).toEqual([3, 3, 3, 3]); // and no more is drawn
  expect(answer).toMatchObject({ id: 1, finish: 'stop', tokens: [9, 4] });
});

test('only votes of the window count, most of them win, and the first on a tie', async () => {
  /** Which of three lies between the two others, at each step. */
  const off = (middle: readonly number[]) => (id: number) =>
    middle.map((m) => (id === m ? 0.5 : id === (m === 0 ? 1 : 0) ? 0.1 : 0.9));
  const told = (middle: readonly number[]): Told[] =>
    [0, 1, 2].map((id) => ({ tokens: long(row(id)), off: off(middle)(id) }));
  const at = async (middle: readonly number[], window: number) =>
    (await truncated(told([...middle, ...even(0, 12)].slice(0, 12)), { window })).answer.id;
  expect(await at([0, 1], 1)).toBe(1); // c = 1: the vote of step 2
  expect(await at([0, 2, 1, 2], 3)).toBe(2);
  expect(await at([0, 2, 1], 2)).toBe(1); // one vote each
  expect(await at([2, 2, 1], 0)).toBe(2); // a window of one at least
});

test('one answer is sampling, and costs no more', async () => {
  const { answer, widths } = await truncated([{ tokens: long([]), off: even(0) }]);
  expect(answer.tokens).toHaveLength(12);
  expect(widths).toEqual([1, 1, 1]);
});

test('it asks no reward, holds all rows, and needs a policy that tells its states', () => {
  const params = bestOfN.parse({ n: 5, prune: { type: 'self_truncation' } }, CONTEXT);
  expect(bestOfN.needs(params)).toBe('nothing');
  expect(bestOfN.peak(params)).toEqual({ least: 5, most: 5 });
  expect(bestOfN.states!(params)).toBe(true);
  expect(bestOfN.prunes!(params)).toBe(true);
  const elsewhere = { ...CONTEXT, layerStates: false };
  expect(() => bestOfN.parse({ prune: { type: 'self_truncation' } }, elsewhere)).toThrow(
    /import --layer-states/,
  );
});
