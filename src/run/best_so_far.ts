/**
 * What a search that was cut short answers with: whatever could still win, ranked by what is known.
 * Finished answers come first (a part of one may look better than any whole), then by reward, then by mean log-probability.
 */

import { BudgetSpent } from '../core/budget.ts';
import type { Session } from '../core/engine.ts';
import type { Branch } from '../core/tree.ts';
import { descending } from '../strategies/select.ts';
import type { Scores } from './scores.ts';

/** Ranks what the session holds, best first; the best is ended where it stands. Judges what was not, if there is time. */
export async function bestSoFar(session: Session, scores: Scores): Promise<readonly Branch[]> {
  const begun = session.branches.filter(({ tokens }) => tokens.length > 0);
  const candidates = begun.length > 0 ? begun : session.branches.slice(0, 1);
  await judgedInTime(scores, candidates);
  const ranks = new Map(candidates.map((branch) => [branch, rankOf(branch, scores)]));
  const ranked = candidates.toSorted((a, b) => compare(ranks.get(a)!, ranks.get(b)!));
  session.end(ranked[0]!);
  return ranked;
}

async function judgedInTime(scores: Scores, candidates: readonly Branch[]): Promise<void> {
  try {
    await scores.update(candidates);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
  }
}

/** Larger is better, the first number first. */
const rankOf = (branch: Branch, scores: Scores): readonly number[] => [
  Number(branch.finish === 'stop'),
  scores.scoreOf(branch) ?? -Infinity,
  branch.logprob / Math.max(1, branch.tokens.length),
];

const compare = (a: readonly number[], b: readonly number[]): number =>
  a.map((value, i) => descending(value, b[i]!)).find((order) => order !== 0) ?? 0;
