/** What leaves the inference process. `commit` is append-only and never taken back; `draft` is a guess and may be. */

import type { Budget } from './budget.ts';
import type { Failure } from './errors.ts';
import type { Evaluation } from './reward.ts';
import type { Draw, Finish, ToldNode } from './tree.ts';

/** A hypothesis as the client sees it once its tree has ended. */
export interface CandidateReport {
  readonly index: number;
  readonly score: number | null;
  readonly parts: Readonly<Record<string, number>>;
  readonly tokens: number;
  readonly status: 'selected' | 'completed' | 'pruned' | 'failed';
  readonly prunedAt: number | null;
}

/** How a search went. */
export interface SearchReport {
  /** Hypotheses that were begun and looked at; the longest, in tokens. */
  readonly nodes: number;
  readonly depth: number;
  /** Hypotheses that could still win, at each of the strategy's decisions. */
  readonly alive: readonly number[];
  /** What the strategy itself told, such as `ess` of particles at each decision. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
  /** The tree itself, parents before their children, where it was asked for and the strategy has one: its first nodes. */
  readonly tree?: readonly ToldNode[];
}

/** What one choice cost and how far it was bent, in tokens, milliseconds and nats. */
export interface ChoiceReport {
  /** Tokens of the returned answer, its end token counted. */
  readonly completionTokens: number;
  readonly generatedTokens: number;
  readonly prunedTokens: number;
  /** Tokens that pruning left undrawn, against the same search unpruned; 0 where nothing prunes. */
  readonly savedTokens: number;
  readonly guideTokens: number;
  readonly rewardTokens: number;
  readonly cachedTokens: number;
  readonly queueMs: number;
  readonly prefillMs: number;
  /** Sum over tokens of log pi - log p of the returned answer. */
  readonly kl: number;
  /** The budget that ended the search with the best so far; null: it came to its own end. */
  readonly exhausted: Budget | null;
  readonly search: SearchReport;
  readonly candidates: readonly CandidateReport[];
  /** Calls of rewards: all that failed in a way of their own, and of the others some hundred. */
  readonly evaluations: readonly Evaluation[];
  /** Its ensemble was asked to abstain where its members disagree too much, and they do. */
  readonly abstained: boolean;
}

export type StreamEvent =
  /** Of a request that streams: none of its choices was refused, they run or wait for their turn. */
  | { readonly kind: 'accepted' }
  /** What the guided law says of the next tokens of a prompt, from its second on: all of them before any text of its choices. */
  | { readonly kind: 'prompt'; readonly prompt: number; readonly draws: readonly Draw[] }
  | {
      readonly kind: 'commit';
      readonly choice: number;
      readonly text: string;
      /** Tokens that became certain with this text; empty unless log-probs or explain were asked for. */
      readonly draws: readonly Draw[];
      /** How many tokens became certain. */
      readonly tokens: number;
    }
  | {
      readonly kind: 'draft';
      readonly choice: number;
      readonly branch: number;
      readonly text: string;
    }
  /** Only for clients that asked for them, as drafts are. */
  | {
      readonly kind: 'candidate';
      readonly choice: number;
      readonly what: 'scored' | 'pruned' | 'selected';
      /** As in the report's candidates. */
      readonly index: number;
      readonly score: number | null;
      readonly tokens: number;
    }
  | {
      readonly kind: 'finish';
      readonly choice: number;
      readonly reason: Finish;
      readonly report: ChoiceReport;
    }
  /** The whole request has failed; nothing follows. `spent` as below, as far as it is known. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly spent: number }
  /** All choices have finished, or the request was cancelled; nothing follows. */
  | {
      readonly kind: 'end';
      readonly cancelled: boolean;
      /** Tokens that the policy drew and guides read for it, whatever became of them. */
      readonly spent: number;
    };
