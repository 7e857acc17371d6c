/** A rule says which texts an answer may spell: a guide that gives all other tokens no probability, exactly. */

import type { Token } from './tree.ts';

/**
 * A compiled rule, as plain data: a network of states over bytes. An edge reads a byte; a call reads a text of the
 * rule that starts at its target and goes on at its return state. Lists of state s lie from first[s] to first[s + 1].
 */
export interface RuleNetwork {
  /** Equal for equal rules over one vocabulary. */
  readonly key: string;
  readonly start: number;
  /** Where the rule has nothing more to say; NOWHERE if it always has. */
  readonly free: number;
  /** Where a rule may end; by state. */
  readonly finals: Uint8Array;
  readonly edges: {
    readonly first: Uint32Array;
    readonly low: Uint8Array;
    readonly high: Uint8Array;
    readonly to: Uint32Array;
  };
  /** `back` is JUMP where nothing is to be returned to: a move that reads nothing. */
  readonly calls: {
    readonly first: Uint32Array;
    readonly rule: Uint32Array;
    readonly back: Uint32Array;
  };
  /** Tokens that suffice from each state to the end of its rule; FAR where none do. */
  readonly distances: Uint16Array;
}

export const JUMP = 0xffffffff;
export const NOWHERE = 0xffffffff;
export const FAR = 0xffff;

/** Where an answer stands in its rule. It never changes: branches share it. */
export interface RuleState {
  /** Tokens that suffice to complete the text from here; 0: it may end here. */
  readonly distance: number;
  /** The tokens that may follow, by ascending id, end tokens left out, and what `distance` is after each. */
  readonly next: NextTokens;
  /** Where `token` leads. Null: the rule has no more to say, and anything may follow. */
  after(token: Token): RuleState | null;
}

export interface NextTokens {
  readonly tokens: Int32Array;
  readonly distances: Uint16Array;
}
