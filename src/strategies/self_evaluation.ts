/**
 * Self-evaluation (Manvi et al. 2024): the policy is asked, on a fork of an answer's KV, whether it would do better by starting over.
 * What counts is P(no) over {yes, no}: the chance that a fresh start would not be better.
 */

import { flag, text } from '../core/fields.ts';
import { calibrated, type SelfQuestion } from '../core/self_evaluation.ts';
import type { StrategyContext } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';

/** Forks that are asked at a time, beside the answers. */
export const SPARE = 4;

/** What a request may say of it. */
export const selfFields = {
  question: text(2000, 1).nullish(),
  /** Whether a policy is asked whose opinion of itself nobody measured. */
  uncalibrated: flag.nullish(),
} as const;

interface AskedSelf {
  readonly question?: string | null | undefined;
  readonly uncalibrated?: boolean | null | undefined;
}

/** @param at path of the object that asks for it. @throws ServeError where the policy cannot be asked */
export function selfQuestion(
  { question, uncalibrated }: AskedSelf,
  at: string,
  context: StrategyContext,
): SelfQuestion {
  if (context.selfQuestion === undefined) throw new Error('there is no policy to be asked');
  const asked = { question: question ?? null, uncalibrated: uncalibrated ?? false };
  return context.selfQuestion(asked, `alignment.strategy.${at}`);
}

/** The chance, for each answer, that a fresh start would not be better. */
export async function selfEvaluated(
  tree: Tree,
  branches: readonly Branch[],
  { asks, labels, calibration }: SelfQuestion,
): Promise<number[]> {
  const odds = await tree.ask(branches, { asks, labels });
  const chances = odds.map(([no]) => (calibration ? calibrated(no!, calibration) : no!));
  for (const chance of chances) tree.note('self_evaluation', chance);
  return chances;
}
