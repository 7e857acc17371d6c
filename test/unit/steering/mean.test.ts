import { expect, test } from 'vitest';
import { Activations } from '../../../src/steering/mean.ts';
import { vectorCase } from '../../fakes/vectors.ts';

interface In {
  readonly hidden_states: readonly (readonly number[])[];
  readonly action_entropies: readonly number[];
  readonly multiplier: number;
  readonly activation: readonly number[];
}
type Out = Readonly<
  Record<
    | 'weighted_mean'
    | 'weighted_minus_plain_mean'
    | 'steered_with_weighted_mean'
    | 'steered_with_difference',
    readonly number[]
  >
>;

const close = (found: ArrayLike<number>, expected: readonly number[]): void =>
  expected.forEach((value, i) => expect(Math.abs(found[i]! - value)).toBeLessThan(1e-9));

test('vector entropy_weighted_steering: the mean by entropy, and what it has beyond the plain one', () => {
  const { input, expected } = vectorCase<In, Out>(
    'personal_multi.json',
    'entropy_weighted_steering',
  );
  const seen = new Activations(2);
  input.hidden_states.forEach((state, i) => seen.add(state, input.action_entropies[i]!));
  const steered = (vector: Float64Array): Float64Array =>
    vector.map((value, i) => input.activation[i]! + input.multiplier * value);
  close(seen.mean, expected.weighted_mean);
  close(seen.difference, expected.weighted_minus_plain_mean);
  close(steered(seen.mean), expected.steered_with_weighted_mean);
  close(steered(seen.difference), expected.steered_with_difference);
  expect([seen.count, seen.entropy]).toEqual([3, 1.8 / 3]);
});

test('equal entropies weigh nothing: the mean is the plain one', () => {
  const seen = new Activations(1);
  for (const x of [1, 2, 6]) seen.add([x], 0.7);
  close(seen.mean, [3]);
  close(seen.difference, [0]);
});

test('where all was certain, or nothing was seen, there is no mean', () => {
  const seen = new Activations(1);
  expect(() => seen.mean).toThrow('the entropies of 0 decision tokens add up to 0');
  seen.add([5], 0);
  expect(() => seen.mean).toThrow('the entropies of 1 decision tokens add up to 0');
});
