/**
 * From who beats whom to one value each (METHODS.md 3, pairwise reranking). Preferences may go in circles, and each
 * way to read them has an answer to that.
 */

import { sigmoid, sum } from '../core/math.ts';

/** wins[i][j]: the chance that i beats j. */
type Wins = readonly (readonly number[])[];

/** sigmoid(r_i - r_j): what rewards say of pairs (Bradley and Terry). */
export const bradleyTerry = (rewards: readonly number[]): number[][] =>
  rewards.map((r) => rewards.map((other) => sigmoid(r - other)));

/** How often each beats another one, on average: Borda's rule. 1/2 of one that has no other. */
export const winRates = (wins: Wins): number[] =>
  wins.map((row, i) =>
    row.length === 1 ? 1 / 2 : sum(row.filter((_, j) => j !== i)) / (row.length - 1),
  );

/** How many others each beats more often than not; a draw counts half (Copeland). */
export const copeland = (wins: Wins): number[] =>
  wins.map((row, i) =>
    row.reduce((sum, p, j) => sum + (j === i ? 0 : p > 1 / 2 ? 1 : p === 1 / 2 ? 1 / 2 : 0), 0),
  );

/**
 * The maximal lottery: the mixed choice that no other beats more often than not (Nash). Found as the best strategy of the
 * zero-sum game whose payoff is wins[i][j], by the simplex method with Bland's rule.
 */
export function lottery(wins: Wins): number[] {
  const n = wins.length;
  // Maximise sum y subject to A y <= 1, y >= 0, where A is what each wins against the others, made positive.
  const rows = wins.map((row, i) => [
    ...row.map((p, j) => (j === i ? 1 / 2 : p) + 1),
    ...row.map((_, j) => Number(i === j)),
    1,
  ]);
  const goal = [...wins.map(() => -1), ...wins.map(() => 0), 0];
  const basis = wins.map((_, i) => n + i);
  for (;;) {
    const enters = goal.findIndex((cost, k) => k < 2 * n && cost < -ROUNDING);
    if (enters < 0) break;
    const leaves = pivotRow(rows, basis, enters);
    const pivot = rows[leaves]![enters]!;
    rows[leaves] = rows[leaves]!.map((x) => x / pivot);
    const eliminate = (row: number[]): void => {
      const by = row[enters]!;
      rows[leaves]!.forEach((x, k) => (row[k] = row[k]! - by * x));
    };
    rows.forEach((row, i) => i !== leaves && eliminate(row));
    eliminate(goal);
    basis[leaves] = enters;
  }
  const solution = wins.map((_, j) => (basis.includes(j) ? rows[basis.indexOf(j)]!.at(-1)! : 0));
  const total = sum(solution);
  return solution.map((y) => y / total);
}

const ROUNDING = 1e-12;

/** The row that bounds the entering variable most; the lowest variable on ties, so that no basis comes twice. */
function pivotRow(rows: readonly number[][], basis: readonly number[], enters: number): number {
  let [best, least] = [-1, Infinity];
  rows.forEach((row, i) => {
    if (row[enters]! <= ROUNDING) return;
    const ratio = row.at(-1)! / row[enters]!;
    if (ratio < least || (ratio === least && basis[i]! < basis[best]!)) [best, least] = [i, ratio];
  });
  return best;
}

/**
 * One match after another, each loser out: n - 1 matches. How many were out before each, so that the last one left has most.
 * @param first whether the first of two wins
 */
export async function knockout(
  n: number,
  first: (i: number, j: number) => Promise<boolean>,
): Promise<number[]> {
  const places = Array.from({ length: n }, () => n - 1);
  let champion = 0;
  for (let challenger = 1; challenger < n; challenger++) {
    const stays = await first(champion, challenger);
    places[stays ? challenger : champion] = challenger - 1;
    if (!stays) champion = challenger;
  }
  return places;
}
