/** The arithmetic that several folders share, each said once: sums in log space, squashing, order statistics. */

/** 0 of none. */
export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** log sum_i exp(v_i), without overflow; -Infinity of none, or where all are. */
export function logSumExp(values: readonly number[]): number {
  const most = Math.max(...values);
  if (!Number.isFinite(most)) return most;
  return most + Math.log(values.reduce((total, value) => total + Math.exp(value - most), 0));
}

/** exp(v_i) / sum_j exp(v_j). NaN where all are -Infinity: whoever asks has at least one value. */
export function softmax(values: readonly number[]): number[] {
  const most = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - most));
  const total = sum(weights);
  return weights.map((weight) => weight / total);
}

/** 1 / (1 + exp(-x)), exact on both sides. */
export const sigmoid = (x: number): number =>
  x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

/** The inverse of `sigmoid`: -Infinity at 0, Infinity at 1. */
export const logit = (p: number): number => Math.log(p) - Math.log1p(-p);

/** log(1 / (1 + exp(-x))), without overflow on either side. */
export const logSigmoid = (x: number): number =>
  Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** The quantile q in [0, 1] of those values that are finite, linear between the order statistics; NaN where none is. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)] ?? NaN, sorted[Math.ceil(at)] ?? NaN];
  return below + (at - Math.floor(at)) * (above - below);
}

/** How many leading elements two sequences share. */
export function agreement(a: ArrayLike<unknown>, b: ArrayLike<unknown>): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
