/** A reward reads text and judges it; its tokenizer need not be the policy's. What a request asks of its rewards is plain data. */

import type { Token } from './tree.ts';

export interface Score {
  /** NaN where the candidate could not be judged: it is disqualified. */
  readonly value: number;
  /** Per member of an ensemble, for metrics and the response. */
  readonly parts: Readonly<Record<string, number>>;
  /** Tokens that models read for it; left out where none were. */
  readonly tokens?: number;
}

export interface Candidate {
  readonly prompt: string;
  /** The prompt as each reward model reads it, by the model's name. */
  readonly readings: Readonly<Record<string, readonly Token[]>>;
  readonly text: string;
  /** The policy's. */
  readonly tokens: readonly Token[];
  /** Id of its branch: a decoder reward may keep a KV row per branch. */
  readonly branch: number;
  /** It ended by itself, by an end token or a stop string. */
  readonly complete: boolean;
}

/** `reads: 'prefix'` promises that scores of unfinished answers mean something. The plan checks it, not the strategy. */
export interface Reward {
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
  /** @param batch candidates of one request: what is relative (a pool's mean, a quantile) is relative to them */
  score(batch: readonly Candidate[]): Promise<readonly Score[]>;
}

/** What a request's candidates are ranked by. */
export interface RewardPlan {
  readonly uses: readonly RewardUse[];
  /** Null: the weighted sum of all uses. */
  readonly ensemble: Ensemble | null;
  readonly constraints: readonly Constraint[];
  readonly length: LengthRule | null;
}

/** Texts to be judged without anything being generated. */
export interface Judging {
  readonly id: string;
  readonly reward: RewardPlan;
  readonly candidates: readonly Candidate[];
}

/** One member: weight * transform((cap(r) - mean) / std). */
export interface RewardUse {
  readonly model: string;
  readonly weight: number;
  /** Scores above it count as it: a proxy is not to be trusted beyond (METHODS.md 3, constrained). */
  readonly cap: number | null;
  /** What scores are normalised with: stored figures, those of the request's own candidates, or nothing. */
  readonly scale: Scale | 'pool' | null;
  readonly transform: Transform | null;
}

export interface Scale {
  readonly mean: number;
  readonly std: number;
}

/** log_sigmoid: log sigmoid(r - reference), a quantile being the request's own candidates'. clip: min(r - eta, 0). */
export type Transform =
  | { readonly kind: 'log_sigmoid'; readonly reference: number | { readonly quantile: number } }
  | { readonly kind: 'clip'; readonly eta: number };

/** Many rewards read as one. uwo = mean - lambda * variance, lcb = mean - lambda * deviation. */
export interface Ensemble {
  readonly aggregate: 'mean' | 'median' | 'min' | 'uwo' | 'lcb';
  readonly lambda: number;
  readonly variance: 'population' | 'unbiased';
}

/** Candidates whose score by `model` lies outside rank below all others. */
export interface Constraint {
  readonly model: string;
  readonly min: number;
  readonly max: number;
}

/** linear: r - lambda * tokens. over: r - lambda * max(0, tokens - target). ratio: r * min(1, tokens / target). */
export interface LengthRule {
  readonly mode: 'linear' | 'over' | 'ratio';
  readonly target: number;
  readonly lambda: number;
  /** Taken off times the share of trigrams that occurred before. */
  readonly repetition: number;
}
