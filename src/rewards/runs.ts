/** What one run of a model reads: rows are padded to the longest of their run, so like lengths go together. */

import type { Token } from '../core/tree.ts';

/**
 * Rows of like lengths together, as many to a run as its tokens allow; a longer one runs alone.
 * @param fit indexes of the rows that are to be read
 * @param runTokens of one run, padding included
 */
export function runsOf(
  fit: readonly number[],
  rows: readonly (readonly Token[])[],
  runTokens: number,
): number[][] {
  const runs: number[][] = [];
  for (const i of fit.toSorted((a, b) => rows[b]!.length - rows[a]!.length || a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && (run.length + 1) * rows[run[0]!]!.length <= runTokens) run.push(i);
    else runs.push([i]);
  }
  return runs;
}
