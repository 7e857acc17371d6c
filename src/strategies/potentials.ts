/**
 * Potentials of Feynman-Kac steering (Singhal et al. 2025): what a particle's weight gains at a decision, in log space.
 * Of its rewards r_1 ... r_s so far,
 *   log G_s = lambda (r_s - r_s-1)  diff,   lambda max r  max,   lambda sum r  add,   lambda r_s  rt,
 * and the last one is lambda r_S - sum_s log G_s: whichever it was, the product telescopes to exp(lambda R).
 */

export const POTENTIALS = ['diff', 'max', 'add', 'rt'] as const;
export type Potential = (typeof POTENTIALS)[number];

/** What a particle's rewards came to at the decisions so far. */
export interface Path {
  readonly last: number;
  readonly max: number;
  readonly sum: number;
  /** Sum of log G. */
  readonly logG: number;
}

export const START: Path = { last: 0, max: -Infinity, sum: 0, logG: 0 };

/** A path after one more reward; `last` corrects to the raw final reward. */
export function advanced(
  potential: Potential,
  lambda: number,
  path: Path,
  r: number,
  last: boolean,
): Path {
  const max = Math.max(path.max, r);
  const sum = path.sum + r;
  const logG = { diff: r - path.last, max, add: sum, rt: r }[potential] * lambda;
  return { last: r, max, sum, logG: last ? lambda * r : path.logG + logG };
}
