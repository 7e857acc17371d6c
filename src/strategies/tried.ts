/** What a tree search tries behind a branch: segments, each judged. */

import type { Branch, Reach, Tree } from '../core/tree.ts';
import { descending } from './select.ts';

interface Valued {
  readonly branch: Branch;
  readonly value: number;
}

/**
 * Draws a segment behind each branch: those that have a score, best first, the earlier one on a tie. Only the best still holds KV.
 * @param judged which of the drawn are scored
 */
export async function tried(
  tree: Tree,
  branches: readonly Branch[],
  segment: Reach,
  judged = (drawn: readonly Branch[]): readonly Branch[] => drawn,
): Promise<readonly Valued[]> {
  await tree.extend(branches, segment);
  const different = judged(branches);
  const scores = await tree.score(different);
  const valued = different
    .map((branch, i) => ({ branch, value: scores[i]!.value }))
    .filter(({ value }) => !Number.isNaN(value))
    .toSorted((a, b) => descending(a.value, b.value));
  tree.park(branches.filter((branch) => branch !== valued[0]?.branch));
  return valued;
}

/** Equal texts once: the first of them. */
export const distinct = (branches: readonly Branch[]): Branch[] =>
  branches.filter((one, i) => branches.findIndex(({ text }) => text === one.text) === i);
