/** A strategy is an async generator over one request's tree: it sees no batch, cache, socket or signal. */

import type { z } from 'zod';
import type { SelfQuestion } from './self_evaluation.ts';
import type { Branch, Tree } from './tree.ts';

/** Yields the hypotheses that may still win: every other branch is freed there and then, so a strategy
 *  cannot leak. What they all agree on is streamed. Returns them ranked, best first. */
export type Search = AsyncGenerator<readonly Branch[], readonly Branch[], void>;

/** The branches that hold KV at once: admission reserves `least`, and gives up to `most`. */
export interface Peak {
  readonly least: number;
  readonly most: number;
}

/** No more and no fewer: the search's width must not depend on traffic. */
export const exactly = (rows: number): Peak => ({ least: rows, most: rows });

/** Of n branches that do not look at each other before they have ended: a quarter at a time will do. */
export const inWaves = (n: number): Peak => ({ least: Math.ceil(n / 4), most: n });

export interface Strategy<P> {
  /** On the wire, `type` left out. */
  readonly fields: z.ZodType;
  /** The fields made valid. Throws a ZodError; the plan turns it into a ServeError under `alignment.strategy`. */
  parse(raw: unknown, context: StrategyContext): P;
  /** Which kind of reward these parameters ask for; the plan refuses a mismatch before any token is drawn. */
  needs(params: P): 'nothing' | 'complete' | 'prefix';
  /**
   * Whether scores of different calls are held against each other, or against a number: scores that are relative to the
   * candidates of one call mean nothing then, and the plan refuses them. Left out: no.
   */
  absolute?(params: P): boolean;
  peak(params: P): Peak;
  /** Whether branches that are given up would have been finished without pruning: their rest counts as saved. Left out: no. */
  prunes?(params: P): boolean;
  /** Tokens of the longest question that is put to a branch; left out: none is. */
  extra?(params: P): number;
  /** How many of the likeliest tokens each draw must show; left out: as many as the request asks for. */
  top?(params: P): number;
  /** Whether branches must sum up the states of the policy's layers; left out: no. */
  states?(params: P): boolean;
  /** What the parameters came to that the request did not say: members of its response's `alignment`. */
  remarks?(params: P): Readonly<Record<string, unknown>>;
  search(tree: Tree, params: P): Search;
}

/** Measured over base samples: when to give up which share of n growing answers by a reward, and what comes of it. */
export interface Schedule {
  readonly n: number;
  /** By length in tokens, ascending: the share of the growing answers that is given up. */
  readonly alphas: readonly { readonly at: number; readonly alpha: number }[];
  /** Share of best-of-n's gain that is lost, and what it is at most with 95 % certainty. */
  readonly loss: number;
  readonly most: number;
  /** Share of the tokens that are not drawn. */
  readonly saved: number;
}

/** What of the request a strategy may know while it parses. */
export interface StrategyContext {
  readonly maxTokens: number;
  /** The request, or its preset, names rewards. */
  readonly judged: boolean;
  /** The request's reward at a quantile of its base samples, from the manifest; null where none is stored. */
  readonly rewardQuantile?: (quantile: number) => number | null;
  /** The request's policy tells the states of its layers; left out: it does not. */
  readonly layerStates?: boolean;
  /** How answers may be pruned by the request's reward; empty where nothing is stored. */
  readonly schedules?: () => readonly Schedule[];
  /**
   * How the request's policy is asked about its own answers; null: by the question that was calibrated.
   * @param at path of the object that asks for it
   * @throws ServeError where nobody measured what the answers are worth, unless that does not matter
   */
  readonly selfQuestion?: (
    asked: { readonly question: string | null; readonly uncalibrated: boolean },
    at: string,
  ) => SelfQuestion;
}
