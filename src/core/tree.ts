/** The search tree of one request: everything a strategy may do, and nothing else. To prune, yield: see strategy.ts. */

import type { GuideUse } from './guide.ts';
import type { Score } from './reward.ts';

export type Token = number;

/** stop: an end token or a stop string. length: the token limit. */
export type Finish = 'stop' | 'length';

/** A token and its log-probability, in nats. */
export interface NextToken {
  readonly token: Token;
  readonly logprob: number;
}

/** One token as it was drawn. All log-probs are in nats, before temperature, penalties and truncation. */
export interface Draw extends NextToken {
  /** log p(token) under the policy alone. */
  readonly base: number;
  /** KL(pi || p) of the law it was drawn from; 0 when nothing guides. */
  readonly kl: number;
  /** Entropy of the policy's own law at this position. */
  readonly entropy: number;
  /** One number per guide in use: log q(token), or log plus - log minus. Empty unless recorded. */
  readonly guides: readonly number[];
  /** The likeliest tokens under the guided law, best first. Empty unless recorded. */
  readonly top: readonly NextToken[];
}

/** A token that a branch could take next, as a peek shows it. */
export interface Peeked extends NextToken {
  readonly draw: Draw;
  /** log Z_t of the guided law; 0 when nothing guides. */
  readonly logZ: number;
  /** What the request's bias and penalties add to its log-prob, in nats. */
  readonly bias: number;
  /** Taking it ends the answer. */
  readonly ends: boolean;
}

/** One hypothesis. The engine advances it in place; strategies only read it. */
export interface Branch {
  /** Ordinal in its tree, from 0; also its stream of randomness. */
  readonly id: number;
  /** Generated so far; the prompt is not included, the end token is. */
  readonly tokens: readonly Token[];
  readonly draws: readonly Draw[];
  /** Whole characters only, cut before a stop string. */
  readonly text: string;
  /** Sum over tokens, under the guided law. */
  readonly logprob: number;
  /** Sum over tokens, under the policy alone. */
  readonly base: number;
  /** Sum of log Z_t: what turns the product of guided steps into the sequence-level target (METHODS.md 1). */
  readonly logZ: number;
  /** Null unless recorded, and before the first token. */
  readonly states: LayerStates | null;
  readonly finish: Finish | null;
}

/**
 * By layer, the policy's states where a branch's tokens were drawn, summed over those that `extend` drew: what enters the
 * first layer, then what leaves each; [layers + 1][hidden].
 */
export type LayerStates = readonly Float64Array[];

/** How a token is drawn from the guided law, in this order: bias and penalties, temperature, top-k, top-p, min-p. */
export interface Sampling {
  /** 0 takes the likeliest token, the lowest id on a tie. */
  readonly temperature: number;
  /** 0: off. Ties with the k-th value stay. */
  readonly topK: number;
  readonly topP: number;
  /** Drops tokens less likely than this share of the likeliest. */
  readonly minP: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Over prompt and answer; 1: off. */
  readonly repetitionPenalty: number;
  readonly logitBias: readonly (readonly [Token, number])[];
}

/** How far to extend, and how to draw. What is left out comes from the plan. Plain data: it may cross threads. */
export interface Reach {
  readonly tokens: number;
  /**
   * Pause (not finish) a branch whose new text contains one of the strings, or before a token whose entropy reaches the
   * bound, once `least` (1) were drawn.
   */
  readonly until?:
    { readonly text: readonly string[] } | { readonly entropy: number; readonly least?: number };
  readonly sampling?: Partial<Sampling>;
  readonly guides?: readonly GuideUse[];
}

/** A node of a search's tree, as clients see it. */
export interface ToldNode {
  /** Index of its parent among the nodes, which comes before it; null: it is the root. */
  readonly parent: number | null;
  /** What it adds to its parent's text. */
  readonly text: string;
  /** Of the answer up to its end. */
  readonly tokens: number;
  readonly value: number;
  readonly visits: number;
  /** Whether its answer is right; null: it has none, or nobody said what is. */
  readonly right: boolean | null;
  /** What its value should have been; null: nothing that is known follows it. */
  readonly target: number | null;
}

/** Tokens that are put to a branch, and single tokens that would answer them. */
export interface Question {
  readonly asks: readonly Token[];
  readonly labels: readonly Token[];
}

export interface Tree {
  readonly root: Branch;
  /** How many branches may hold KV at once: between the strategy's least and most. */
  readonly width: number;
  readonly promptTokens: number;
  /** Most tokens of a branch. */
  readonly maxTokens: number;
  /** `branch` and n-1 twins of it. Twins of a parked branch are parked. */
  fork(branch: Branch, n: number): Branch[];
  /** n twins of `branch`, and not itself: what is tried beside it. */
  twins(branch: Branch, n: number): Branch[];
  /**
   * The branches at these indices: each stands in its first place itself, a twin of it in every further one. Those without
   * a place are parked before any is forked, if they were not dropped: a beam and a resampled swarm move in their own rows.
   */
  reorder(branches: readonly Branch[], places: readonly number[]): Branch[];
  /** A twin of `branch` with one more token, to be judged or to end there: it is parked, and no KV is copied for it. */
  take(branch: Branch, next: Peeked): Branch;
  /** Advances every unfinished branch in place. The only call that decodes; rows of all requests share its iterations. */
  extend(branches: readonly Branch[], reach: Reach): Promise<void>;
  /** The k likeliest next tokens (k <= 64) that could be drawn, by log-prob and bias, without taking one. */
  peek(branch: Branch, k: number): Promise<readonly Peeked[]>;
  /** Appends a token the strategy has chosen. */
  push(branch: Branch, next: Peeked): void;
  /**
   * Forces tokens, which are read when the branch goes on: a finished one may, and none finishes by them. They cost
   * log-prob 0.
   */
  append(branch: Branch, tokens: readonly Token[]): void;
  /**
   * What the policy alone would say to a question after each branch: the chance of each label, among the labels only. It is read
   * from forks that are given back at once; at least one more branch must fit beside those that hold KV.
   */
  ask(branches: readonly Branch[], question: Question): Promise<readonly (readonly number[])[]>;
  /** Gives back their KV. What is extended or peeked again is rebuilt by prefill, always, so that traffic cannot show. */
  park(branches: readonly Branch[]): void;
  /** Uniform in [0, 1), for the strategy's own choices: the same for the same step of a seed and choice. */
  uniform(step: number): number;
  /**
   * The plan's reward for each branch, in order, the branches being each other's pool. NaN for a candidate that could not
   * be judged: it is out, and a search fails where no other is left. Batched with other requests.
   */
  score(branches: readonly Branch[]): Promise<readonly Score[]>;
  /** Tells a figure of the search, for the request's `explain`. */
  note(figure: string, value: number): void;
  /** Says how the search's tree can be told, for the request's `explain`: it is asked once, after the end, or not at all. */
  tell(nodes: () => readonly ToldNode[]): void;
}
