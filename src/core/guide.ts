/** Guides bend the next-token law: log pi(v) = log p(v) + sum_i w_i * f_i(v) - log Z (GenARM, METHODS.md 1 and 2). */

import type { Branch, Token } from './tree.ts';

/** A model reading a prompt: what a branch needs one KV row for. Lane 0 is the policy on the request's own prompt. */
export interface Lane {
  readonly model: string;
  readonly prompt: readonly Token[];
}

/** f(v) = log q_plus(v), or log q_plus(v) - log q_minus(v) for a density ratio. Lanes by index. */
export interface GuideUse {
  readonly plus: number;
  readonly minus: number | null;
  readonly weight: number;
  /** Guide only where the policy's entropy (nats) is above this; null: everywhere (SparsePO). */
  readonly entropyAbove: number | null;
}

export interface Guidance {
  readonly uses: readonly GuideUse[];
  /** sum: as above. mean: the combined log-probs are divided by the sum of all weights, the policy's 1 included. */
  readonly combine: 'sum' | 'mean';
  /** Upper bound of KL(pi || p) per token in nats, kept by scaling all weights down; null: none. */
  readonly maxKl: number | null;
  /** The policy's own tokens below this share of its likeliest's probability are not drawn; 0: all may be (contrastive decoding). */
  readonly plausibility: number;
}

/**
 * What bends a law once more, where only its likeliest tokens count (controlled decoding, FUDGE, METHODS.md 4):
 * log pi'(v) = log pi(v) + add(v) - log Z' for the k likeliest v, and none of the others.
 */
export interface Bend {
  readonly k: number;
  /** Whether it bends a law whose policy has this entropy, in nats. */
  applies(entropy: number): boolean;
  /**
   * What each token is worth, given the branch as it would be with that token.
   * @throws whatever those who judge failed with
   */
  add(continuations: readonly Branch[], entropy: number): Promise<readonly Added[]>;
}

export interface Added {
  /** NaN: this token cannot be taken. */
  readonly value: number;
  /** What each value guide said, for the record. */
  readonly guides: readonly number[];
}

/**
 * What each lane's log-probs are multiplied with: [lanes], the policy's first.
 * @param scale in [0, 1], on all guides' weights
 * @param entropy of the policy's law at this position, in nats; null: not known yet, no mask applies
 */
export type LaneWeights = (
  guidance: Guidance,
  lanes: number,
  scale: number,
  entropy: number | null,
) => Float64Array;
