/**
 * A reward of one user (VPL, Poddar et al. 2024; METHODS.md 8): r = MLP([e(y); z]) with LeakyReLU of slope 0.2 between
 * its layers. e(y) is the model's state after the answer, through a linear layer where there is one; z is the user's latent.
 */

import type { ScoreModel, StateModel } from '../core/model.ts';

/** x -> W x + b. */
export interface Linear {
  readonly inputs: number;
  /** [outputs, inputs] */
  readonly weight: Float32Array | Float64Array;
  /** [outputs] */
  readonly bias: Float32Array | Float64Array;
}

export interface LatentHead {
  /** Null: e(y) is the state itself. */
  readonly embedding: Linear | null;
  /** The last has one output. */
  readonly layers: readonly Linear[];
  /** Numbers of a user's latent. */
  readonly latent: number;
}

const SLOPE = 0.2;

/** @param state [hidden] of the model @param user [latent] */
export function latentReward(
  { embedding, layers }: LatentHead,
  state: ArrayLike<number>,
  user: readonly number[],
): number {
  const embedded = embedding === null ? state : through(embedding, state);
  let x: ArrayLike<number> = [...Array.from(embedded), ...user];
  layers.forEach((layer, i) => {
    const y = through(layer, x);
    x = i === layers.length - 1 ? y : y.map((value) => (value < 0 ? SLOPE * value : value));
  });
  return x[0]!;
}

function through({ inputs, weight, bias }: Linear, x: ArrayLike<number>): Float64Array {
  const y = Float64Array.from(bias);
  for (let row = 0, at = 0; row < y.length; row++)
    for (let i = 0; i < inputs; i++) y[row]! += weight[at++]! * x[i]!;
  return y;
}

/** The model as one user's judge: whoever scores with it need not know of users. */
export const judgeOf = (
  model: StateModel,
  head: LatentHead,
  user: readonly number[],
): ScoreModel => ({
  ...model,
  score: (rows) =>
    Float32Array.from(model.states(rows), (state) => latentReward(head, state, user)),
});
