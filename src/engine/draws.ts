/** What an answer keeps of each token, and what a peek shows: read from the row that it was drawn from. */

import type { Mixed, Reals } from '../core/model.ts';
import type { Draw, NextToken, Peeked, Token } from '../core/tree.ts';
import type { Job } from './job.ts';
import type { Biased } from './sampler.ts';

const NO_NUMBERS: readonly number[] = [];
const NO_TOKENS: readonly never[] = [];

/** A token drawn from row `i`. @param lanes logits of each of the law's lanes, row after row */
export function drawOf(
  job: Pick<Job, 'law' | 'tree'>,
  mixed: Mixed,
  i: number,
  lanes: readonly Reals[],
  token: Token,
): Draw {
  const { record } = job.tree.opening;
  const logProb = (k: number): number =>
    lanes[k]![i * job.law.widths[k]! + token]! - mixed.norms[k]![i]!;
  const combined = mixed.combined[i * mixed.vocab + token]!;
  return {
    token,
    logprob: combined - mixed.logZ[i]!,
    base: lanes.length > 1 || job.law.cut !== null ? logProb(0) : combined, // the same number, not just nearly
    kl: mixed.kl[i]!,
    entropy: mixed.entropy[i]!,
    guides: record.guides ? contributions(job, logProb) : NO_NUMBERS,
    top: record.top > 0 ? topOf(mixed, i, record.top) : NO_TOKENS,
  };
}

/** A token that could be drawn next. */
export const peekedOf = (
  job: Job,
  mixed: Mixed,
  i: number,
  lanes: readonly Reals[],
  next: Biased,
): Peeked => ({
  ...next,
  draw: drawOf(job, mixed, i, lanes, next.token),
  logZ: logZOf(job, mixed, i),
  ends: job.tree.limit.ends.has(next.token),
});

/** What the law was divided by: nothing where nothing bends it. */
export const logZOf = ({ law, branch }: Job, mixed: Mixed, i: number): number =>
  law.lanes.length > 1 || law.cut !== null || branch.rule !== null ? mixed.logZ[i]! : 0;

/** log q(token) of each guide in the request's order, or log plus - log minus. */
function contributions({ law }: Pick<Job, 'law'>, logProb: (k: number) => number): number[] {
  const at = (lane: number): number => {
    const k = law.lanes.indexOf(lane);
    return k < 0 ? 0 : logProb(k);
  };
  return law.guidance.uses.map(({ plus, minus }) =>
    minus === null ? at(plus) : at(plus) - at(minus),
  );
}

/** The likeliest tokens, best first; none that cannot be drawn. */
export function topOf(mixed: Mixed, row: number, n: number): NextToken[] {
  const top: NextToken[] = [];
  for (let i = row * mixed.k; top.length < n && i < (row + 1) * mixed.k; i++) {
    const logprob = mixed.topValues[i]! - mixed.logZ[row]!;
    if (logprob === -Infinity) break;
    top.push({ token: mixed.topTokens[2 * i]!, logprob });
  }
  return top;
}
