/**
 * A user's latent from pairs of answers (VPL, METHODS.md 8): each pair's embeddings go through an MLP with LeakyReLU of slope
 * 0.2, the pairs attend to each other, and their mean gives mu and log variance, each clamped to [-1, 1]. z = mu.
 */

import { embeddingOf, perceptron, through, type Linear } from './latent_head.ts';

export interface LatentEncoder {
  /** Null: a state is its own embedding. */
  readonly embedding: Linear | null;
  /** Reads the embeddings of an answer and of the one that it was preferred to. */
  readonly pair: readonly Linear[];
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly mean: Linear;
  readonly logVariance: Linear;
}

/** States after the answer that was chosen, and after the other; [hidden] each. */
export type StatePair = readonly [chosen: ArrayLike<number>, rejected: ArrayLike<number>];

interface User {
  /** z: mu. */
  readonly mean: readonly number[];
  /** How unsure it is of each number of z. */
  readonly variance: readonly number[];
}

/** @param pairs at least one; their order does not count */
export function userOf(encoder: LatentEncoder, pairs: readonly StatePair[]): User {
  const read = pairs.map((pair) => {
    const both = pair.flatMap((state) => Array.from(embeddingOf(encoder, state)));
    return perceptron(encoder.pair, both);
  });
  const [queries, keys, values] = [encoder.query, encoder.key, encoder.value].map((layer) =>
    read.map((x) => through(layer, x)),
  );
  const attended = queries!.map((query) => {
    const scores = keys!.map((key) => dot(query, key) / Math.sqrt(query.length));
    return mixed(softmax(scores), values!);
  });
  const whole = mixed(
    attended.map(() => 1 / attended.length),
    attended,
  );
  return {
    mean: clamped(through(encoder.mean, whole)),
    variance: clamped(through(encoder.logVariance, whole)).map(Math.exp),
  };
}

const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0);

function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const terms = scores.map((score) => Math.exp(score - highest));
  const sum = terms.reduce((total, term) => total + term, 0);
  return terms.map((term) => term / sum);
}

const mixed = (shares: readonly number[], rows: readonly Float64Array[]): Float64Array =>
  rows[0]!.map((_, i) => rows.reduce((sum, row, r) => sum + shares[r]! * row[i]!, 0));

const clamped = (x: Float64Array): number[] =>
  Array.from(x, (value) => Math.min(1, Math.max(-1, value)));
