/** The parts of published definitions in float64, on plain arrays: nothing here knows of graphs, or of our importer. */

import type { Vector } from './published.ts';

export function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
export const add = (a: Vector, b: Vector): Vector => a.map((x, i) => x + b[i]!);
export const times = (rows: Vector[], x: Vector): Vector => rows.map((row) => dot(row, x));

export const rmsNorm = (x: Vector, gain: Vector, epsilon: number): Vector => {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + epsilon);
  return x.map((value, i) => value * scale * gain[i]!);
};

export const layerNorm = (x: Vector, gain: Vector, bias: Vector, epsilon: number): Vector => {
  const mean = x.reduce((a, b) => a + b, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map(
    (value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * gain[i]! + bias[i]!,
  );
};

export const silu = (x: number): number => x / (1 + Math.exp(-x));
export const geluTanh = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
export const gelu = (x: number): number => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** Its power series, which converges fast enough for the values of a tiny model. */
function erf(x: number): number {
  if (Math.abs(x) > 5) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Turns dim i with dim i + n/2 among the first n = 2 * frequencies.length dims of a head. */
export function rotate(x: Vector, position: number, frequencies: Vector, magnitude = 1): Vector {
  const half = frequencies.length;
  return x.map((value, i) => {
    if (i >= 2 * half) return value;
    const angle = position * frequencies[i % half]!;
    const other = i < half ? -x[i + half]! : x[i - half]!;
    return magnitude * (value * Math.cos(angle) + other * Math.sin(angle));
  });
}

export const frequencies = (theta: number, dim: number): Vector =>
  Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** ((2 * i) / dim));

export const headsOf = (x: Vector, count: number): Vector[] => {
  const dim = x.length / count;
  return Array.from({ length: count }, (_, h) => x.slice(h * dim, (h + 1) * dim));
};

export interface Attending {
  readonly scale: number;
  /** Tokens that a token sees, itself included. */
  readonly window?: number;
  readonly softcap?: number;
}

/** Causal grouped-query attention over [tokens][heads][dim]: [tokens][all heads joined]. */
export function attend(
  q: Vector[][],
  k: Vector[][],
  v: Vector[][],
  { scale, window = Infinity, softcap = 0 }: Attending,
): Vector[] {
  return q.map((heads, t) =>
    heads.flatMap((query, h) => {
      const group = Math.floor(h / (heads.length / k[0]!.length));
      const first = Math.max(0, t - window + 1);
      const scores = k.slice(first, t + 1).map((key) => {
        const score = dot(query, key[group]!) * scale;
        return softcap === 0 ? score : softcap * Math.tanh(score / softcap);
      });
      const most = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - most));
      const total = weights.reduce((a, b) => a + b, 0);
      return query.map((_, d) =>
        weights.reduce((sum, w, s) => sum + (w / total) * v[first + s]![group]![d]!, 0),
      );
    }),
  );
}
