/** A request made valid, once. A Plan is plain data: it crosses to the inference process, so it names its strategy. */

import type { Opening } from '../core/engine.ts';
import type { Lane } from '../core/guide.ts';
import type { RewardPlan } from '../core/reward.ts';
import type { ChatMessage } from '../core/text.ts';
import type { Token } from '../core/tree.ts';

export interface Plan {
  readonly id: string;
  /** Its name in the log, in both processes. */
  readonly request: string;
  readonly strategy: string;
  /** What the strategy's own `parse` returned. */
  readonly params: unknown;
  /** Null: no candidate is judged. */
  readonly reward: RewardPlan | null;
  /** Rewards that bend the next-token law; none: empty. */
  readonly values: readonly ValueUse[];
  readonly prompts: readonly PlanPrompt[];
  /** Independent trees per prompt; choice index = (prompt index * n + tree index) * answers + rank. */
  readonly n: number;
  /** The best so many of each tree are answers, each a choice of its own. */
  readonly answers: number;
  /** Shared by all trees; a tree's `choice` is its index under its prompt. */
  readonly opening: Omit<Opening, 'lanes' | 'choice' | 'peak' | 'bend'>;
  /** Milliseconds after which the search ends with the best so far; null: no bound. `opening.budget` is that in tokens. */
  readonly budgetMs: number | null;
  /** Yield text as it becomes certain, token by token; otherwise only at the end. */
  readonly stream: boolean;
  /** Tell what the guided law says of each prompt's tokens, before its answers. */
  readonly readsPrompts: boolean;
  /** Send draws with the commits: log-probs or explain were asked for. */
  readonly draws: boolean;
  /** Tell the search's tree, where it has one. */
  readonly explain: boolean;
  /** Send draft frames too. */
  readonly drafts: boolean;
}

/** weight * V(answer and token) on the log-prob of each of the likeliest tokens (controlled decoding, METHODS.md 4). */
export interface ValueUse {
  /** V, as one reward. */
  readonly reward: RewardPlan;
  readonly weight: number;
  /** Tokens that are considered. */
  readonly topK: number;
  /** Guide only where the policy's entropy (nats) is above this; null: everywhere. */
  readonly entropyAbove: number | null;
}

export interface PlanPrompt {
  /** [0] is the policy; `opening.guidance` points at the others by index. */
  readonly lanes: readonly Lane[];
  /** As the client wrote it, for rewards; of a chat the contents of its messages. */
  readonly text: string;
  /** Null where the prompt is no chat. */
  readonly messages: readonly ChatMessage[] | null;
  /** The prompt as each model that judges reads it, by the reading's key. */
  readonly readings: Readonly<Record<string, readonly Token[]>>;
}
