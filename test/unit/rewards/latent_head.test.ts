/** A reward of one user: the head's arithmetic, and the judge that is made of it. */

import { expect, test } from 'vitest';
import type { StateModel } from '../../../src/core/model.ts';
import { judgeOf, latentReward, type LatentHead } from '../../../src/rewards/latent_head.ts';
import { vectorCase } from '../../fakes/vectors.ts';

interface In {
  readonly response_embedding: readonly number[];
  readonly user_latent_mean: readonly number[];
  readonly W1: readonly (readonly number[])[];
  readonly b1: readonly number[];
  readonly W2: readonly number[];
  readonly b2: number;
}

const linear = (rows: readonly (readonly number[])[], bias: readonly number[]) => ({
  inputs: rows[0]!.length,
  weight: Float64Array.from(rows.flat()),
  bias: Float64Array.from(bias),
});

test('vector vpl_reward_head: an MLP over the answer and the user', () => {
  const { input, expected } = vectorCase<In, { readonly reward: number }>(
    'personal_multi.json',
    'vpl_reward_head',
  );
  const layers = [linear(input.W1, input.b1), linear([input.W2], [input.b2])];
  const head = { embedding: null, layers, latent: 2 };
  const reward = latentReward(head, input.response_embedding, input.user_latent_mean);
  expect(Math.abs(reward - expected.reward)).toBeLessThan(1e-9);
});

const head: LatentHead = {
  embedding: linear([[1, 1]], [0.5]),
  layers: [linear([[1, 2]], [0]), linear([[3]], [1])],
  latent: 1,
};

test('a state goes through the embedding first, and what is negative counts a fifth', () => {
  expect(latentReward(head, [1, 2], [1])).toBe(3 * (3.5 + 2) + 1);
  expect(latentReward(head, [1, 2], [-2])).toBeCloseTo(3 * 0.2 * (3.5 - 4) + 1, 12);
});

test('a model judges for a user by the states that it has of texts', () => {
  const model: StateModel = {
    name: 'm',
    context: 8,
    missing: (row) => row.length,
    readOn: () => false,
    states: (rows) => rows.map((row) => Float32Array.of(row.length, 0)),
  };
  const texts = [[1], [1, 2, 3]];
  const [ann, bob] = [judgeOf(model, head, [1]), judgeOf(model, head, [-4])];
  expect([...ann.score(texts)]).toEqual([11.5, 17.5]);
  expect(ann.score(texts)).not.toEqual(bob.score(texts));
  expect([ann.name, ann.context, ann.missing([1, 2])]).toEqual(['m', 8, 2]);
});
