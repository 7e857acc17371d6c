/** Counting votes: what each answer weighs, and which of them wins. */

import { sigmoid } from '../core/math.ts';

export const WEIGHINGS = ['majority', 'weighted', 'sigmoid', 'best'] as const;
/** A vote counts one; its value; the sigmoid of it; or an answer weighs as much as the best vote for it. */
export type Weighing = (typeof WEIGHINGS)[number];

/**
 * Weight of each answer, in the order they were first seen. What has no answer, or the value -Infinity, does not vote.
 * @param values by sample; null: each counts one
 */
export function tally(
  answers: readonly (string | null)[],
  values: readonly number[] | null,
  by: Weighing,
): Map<string, number> {
  const sums = new Map<string, number>();
  answers.forEach((answer, i) => {
    if (answer === null || values?.[i] === -Infinity) return;
    const value = values?.[i] ?? 1;
    const before = sums.get(answer);
    if (by === 'best') return void sums.set(answer, Math.max(before ?? -Infinity, value));
    const weight = by === 'majority' ? 1 : by === 'weighted' ? value : sigmoid(value);
    sums.set(answer, (before ?? 0) + weight);
  });
  return sums;
}

/** The first of the heaviest; null if nobody voted. */
export function winner(sums: ReadonlyMap<string, number>): string | null {
  const most = Math.max(...sums.values());
  for (const [answer, sum] of sums) if (sum === most) return answer;
  return null;
}
