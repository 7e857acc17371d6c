/**
 * What a rule that gives up answers says: when it decides, by what, and who goes on; or how one answer is elected. One
 * file per rule, each reads like its paper.
 */

import type { z } from 'zod';
import type { Score } from '../../core/reward.ts';
import type { Search, StrategyContext } from '../../core/strategy.ts';
import type { Branch, Tree } from '../../core/tree.ts';

interface Rule<P> {
  /** On the wire, `type` left out. */
  readonly fields: z.ZodType;
  /** The fields made valid. Throws a ZodError. */
  parse(raw: unknown, context: RuleContext): P;
  /** Branches must sum up the states of the policy's layers; left out: no. */
  readonly states?: true;
}

/** All answers grow side by side, and the rule itself says which one is given: no reward is asked. */
export interface ElectingRule<P> extends Rule<P> {
  /** @param all parked, and none of them begun */
  search(tree: Tree, all: readonly Branch[], params: P): Search;
}

/** At its points a rule says who goes on; what is left in the end is chosen from by reward. */
export interface PruneRule<P> extends Rule<P> {
  readonly needs: 'nothing' | 'prefix';
  /** Answers are compared with each other: all are drawn side by side. */
  readonly together: boolean;
  /** Scores are held against a number of the request's, and not against each other; left out: no. */
  readonly absolute?: true;
  /** Rows of KV that it takes beside those of the answers; left out: none. */
  readonly spare?: number;
  /** Tokens of the question that it puts to an answer; left out: none. */
  extra?(params: P): number;
  /** Lengths, in tokens and ascending, at which an answer's fate is decided. */
  points(params: P, maxTokens: number): readonly number[];
  /** Called once a search: what it keeps of the answers, it keeps for that search. */
  decide(params: P): (asked: Deciding) => Promise<Verdict>;
  /** Answers that are drawn whole, before the others begin; left out: none. */
  first?(params: P): number;
  /** Whether these answers will do, and no more need be drawn; left out: no. */
  enough?(params: P, done: readonly Branch[]): boolean;
  /** How many of the likeliest tokens each draw must show; left out: none. */
  top?: number;
  /** What it found that the request did not say. */
  remarks?(params: P): Readonly<Record<string, unknown>>;
}

export interface RuleContext extends StrategyContext {
  /** Answers that may be drawn. */
  readonly n: number;
}

export interface Deciding {
  readonly tree: Tree;
  /** Unfinished answers at a decision point. */
  readonly growing: readonly Branch[];
  /** Whole answers so far, as they were begun. */
  readonly done: readonly Branch[];
  /** By what answers are chosen in the end. */
  readonly score: (branches: readonly Branch[]) => Promise<readonly Score[]>;
}

/** The growing answers, best first, and how many of them go on. At least one does where no other answer is left. */
export interface Verdict {
  readonly ranked: readonly Branch[];
  readonly keep: number;
}

/** `first`, and every `every` tokens from there. */
export const everyFrom = (first: number, every: number, maxTokens: number): number[] =>
  Array.from(
    { length: Math.max(0, Math.ceil((maxTokens - first) / every)) },
    (_, i) => first + i * every,
  );

/** The lengths of a rule that gives up a share alpha at each, ascending and once each; none where it gives up nothing. */
export const lengthsOf = (at: readonly number[], alpha: number): number[] =>
  alpha > 0 ? [...new Set(at)].toSorted((a, b) => a - b) : [];
