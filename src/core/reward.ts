/** A reward reads text and judges it; its tokenizer need not be the policy's. */

import type { Token } from './tree.ts';

export interface Score {
  readonly value: number;
  /** Per member of an ensemble, for metrics and the response. */
  readonly parts: Readonly<Record<string, number>>;
}

export interface Candidate {
  readonly prompt: string;
  readonly text: string;
  readonly tokens: readonly Token[];
  /** Id of its branch: a decoder reward may keep a KV row per branch. */
  readonly branch: number;
  readonly complete: boolean;
}

/** `reads: 'prefix'` promises that scores of unfinished answers mean something. The plan checks it, not the strategy. */
export interface Reward {
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
  score(batch: readonly Candidate[]): Promise<readonly Score[]>;
}
