/** What parsing a request gives: the Plan for the inference process, and what the HTTP side needs to word the answer. */

import type { Codec } from '../core/text.ts';
import type { Grant } from './grant.ts';
import type { Plan } from './plan.ts';

export interface Admitted {
  readonly plan: Plan;
  readonly answer: Answer;
  /** Most tokens that policy and guides may draw or read for it, prompts included. */
  readonly cost: number;
}

export interface Answer {
  readonly id: string;
  /** As the client named it: the policy or a preset. */
  readonly model: string;
  readonly strategy: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly includeAlignment: boolean;
  readonly explain: boolean;
  /** How many of the likeliest tokens to list beside each; null: no log-probs. */
  readonly logprobs: number | null;
  /** Answers may hold calls of tools, spelled as core/call.ts has it. */
  readonly calls: boolean;
  /** Members of the response's `alignment` that the strategy has found out. */
  readonly remarks: Readonly<Record<string, unknown>>;
  /** Text of each prompt, to stand before its answers; null: not asked for. */
  readonly echo: readonly string[] | null;
  /** Tokens of each prompt under the policy. */
  readonly promptTokens: readonly number[];
  /** Choices per prompt. */
  readonly n: number;
  /** As asked for, or as drawn: what reproduces this answer. */
  readonly seed: number;
  /** For each guide of the request its place in `Draw.guides`; null where its weight is zero. */
  readonly guideOrder: readonly (number | null)[];
  /** The policy's, to spell tokens. */
  readonly codec: Codec;
}

/** What parsing cannot know by itself. */
export interface Ambient {
  readonly id: string;
  /** The request's name in the log. */
  readonly request: string;
  /** Used where the request names no seed; a safe integer. */
  readonly seed: number;
  readonly grant: Grant;
  /** A WebSocket always streams, and may carry draft frames. */
  readonly socket: boolean;
}
