/** A request on its way to a Plan: whom it is addressed to, and what planning gives, for the inference process and for the wording of the answer. */

import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import type { RuleCompiler } from '../rules/compile.ts';
import type { Catalog, ModelCard, Preset } from './catalog.ts';
import type { Grant } from './grant.ts';
import type { Plan } from './plan.ts';
import type { CommonWire } from './wire.ts';

/** A request whose model is known. */
export interface Addressed {
  readonly catalog: Catalog;
  readonly wire: CommonWire;
  /** As the client named it. */
  readonly model: string;
  readonly policy: ModelCard;
  readonly preset: Preset | null;
  readonly rules: RuleCompiler;
  readonly ticket: Ticket;
}

export interface Planned {
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
  /** Ids of what judges. */
  readonly rewards: readonly string[];
  /** Members of the response's `alignment` that the strategy has found out. */
  readonly remarks: Readonly<Record<string, unknown>>;
  /** Each prompt, to stand before its answers; null: not asked for. */
  readonly echo: readonly Echo[] | null;
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

/** A prompt as it is repeated. */
export interface Echo {
  readonly text: string;
  /** As the policy reads it. */
  readonly tokens: readonly Token[];
}

/** What parsing cannot know by itself: who asks, and as what. */
export interface Ticket {
  readonly id: string;
  /** The request's name in the log. */
  readonly request: string;
  /** Used where the request names no seed; a safe integer. */
  readonly seed: number;
  readonly grant: Grant;
  /** A WebSocket always streams, and may carry draft frames. */
  readonly socket: boolean;
}
