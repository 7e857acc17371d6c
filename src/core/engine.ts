/** What decodes: an engine opens one session per tree, and a session is a tree that cannot judge. */

import type { Bend, Guidance, Lane } from './guide.ts';
import type { RuleNetwork } from './rule.ts';
import type { Peak } from './strategy.ts';
import type { Branch, Draw, Sampling, Tree } from './tree.ts';

/** A tree without `score`, `note` and `tell`: engines decode, they do not judge. */
export interface Session extends Omit<Tree, 'score' | 'note' | 'tell'>, AsyncDisposable {
  /** Frees every other branch of this session. Using one afterwards throws. */
  keep(branches: readonly Branch[]): void;
  /** Those that were not freed, oldest first. */
  readonly branches: readonly Branch[];
  /** Has `grown` told of each token that the tree's only branch takes: it has no rival, so all it says is certain. What `grown` throws fails the wait for that token. */
  follow(grown: (only: Branch) => void): void;
  /** Finishes a branch where it stands, for want of `length`. */
  end(branch: Branch): void;
  /**
   * Before anything else, and once: what the guided law says of each of the prompt's tokens but the first. Every lane must
   * have been given the same prompt, and no law may be bent by values. Their cost is that of reading the prompt.
   * @param told of draws in the prompt's order, as it is read
   */
  readPrompt(told: (draws: readonly Draw[]) => void): Promise<void>;
  readonly spent: Spent;
}

/** What a session has cost so far. */
export interface Spent {
  /** Policy tokens drawn, over all branches. */
  readonly generatedTokens: number;
  /** Tokens read by guides, prompts included. */
  readonly guideTokens: number;
  /** Tokens of questions that the policy read about its own branches. */
  readonly askedTokens: number;
  /** Prompt tokens of the policy that came from the prefix cache. */
  readonly cachedTokens: number;
  /** Waiting for admission, then until the prompt was read, in milliseconds. */
  readonly queueMs: number;
  readonly prefillMs: number;
}

/** A vector by its name, so many times of it. */
export interface SteeringUse {
  readonly vector: string;
  /** Not 0. */
  readonly scale: number;
}

/** What each Draw keeps: how many of the likeliest tokens, and the guides' numbers; and whether branches sum up states. */
export interface Recorded {
  readonly top: number;
  readonly guides: boolean;
  readonly states: boolean;
}

export interface Opening {
  /** [0] is the policy on the request's prompt. */
  readonly lanes: readonly Lane[];
  readonly guidance: Guidance;
  /** Their sum is added to lane 0's states at every position, the prompt's too; each vector once, in one order. None: empty. */
  readonly steering: readonly SteeringUse[];
  /** Null: the guided law is drawn from as it is. */
  readonly bend: Bend | null;
  /** What every answer must spell; null: anything. */
  readonly rule: RuleNetwork | null;
  readonly sampling: Sampling;
  readonly maxTokens: number;
  /** Tokens of a question that may be put to a branch beside those. */
  readonly extra: number;
  /** Tokens that all branches may draw together; one more is refused with BudgetSpent. Infinity: no bound. */
  readonly budget: number;
  /** Texts that finish a branch; the text is cut before them. */
  readonly stops: readonly string[];
  readonly peak: Peak;
  /** 64 bits, and which of the request's choices this is. */
  readonly seed: bigint;
  readonly choice: number;
  readonly record: Recorded;
  /** Prompts cached under one salt are never served to another. */
  readonly salt: string;
}

export interface Engine {
  /**
   * Waits for KV room for `peak.least` branches. Aborting rejects whatever the session is waiting for.
   * @param accepted called before the wait, unless it is refused
   */
  open(opening: Opening, signal: AbortSignal, accepted?: () => void): Promise<Session>;
}
