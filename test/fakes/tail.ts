/** The tail's arithmetic written out in float64: what tests without ONNX Runtime decode with, and what the graph is checked against. */

import type { Mixed, Reals, Tail, Tails, TailShape } from '../../src/core/model.ts';

const FLOOR = -1e4;

export interface FakeTailOptions {
  readonly vocab: number;
  readonly banned?: readonly number[];
}

export const fakeTails =
  (options: FakeTailOptions): Tails =>
  (shape) =>
    fakeTail(options, shape);

export function fakeTail(
  { vocab, banned = [] }: FakeTailOptions,
  { widths, tempered, cutting, top }: TailShape,
): Tail {
  return {
    mix(rows, lanes, { weights, inverse, cuts }): Mixed {
      const all = Array.from({ length: rows }, (_, row) => {
        const logits = lanes.map((lane, k) => [
          ...lane.subarray(row * widths[k]!, row * widths[k]! + vocab),
        ]);
        for (const token of banned) logits[0]![token] = -Infinity;
        const w = lanes.map((_lane, k) => weights[row * lanes.length + k]!);
        return mixRow(logits, {
          weights: lanes.length === 1 ? [1] : w,
          inverse: tempered ? inverse[row]! : 1,
          cut: cutting ? cuts[row]! : null,
        });
      });
      const k = Math.min(top, vocab);
      const flat = (pick: (row: Row) => Iterable<number>): Float64Array =>
        Float64Array.from(all.flatMap((row) => [...pick(row)]));
      const order = all.map(({ combined }) =>
        [...combined.keys()].toSorted((a, b) => combined[b]! - combined[a]! || a - b).slice(0, k),
      );
      return {
        combined: flat((row) => row.combined),
        vocab: all[0]!.combined.length,
        topValues: Float64Array.from(
          all.flatMap((row, i) => order[i]!.map((t) => row.combined[t]!)),
        ),
        topTokens: Int32Array.from(order.flat().flatMap((t) => [t, 0])),
        k,
        logZ: flat((row) => [row.logZ]),
        logZTempered: flat((row) => [row.logZTempered]),
        norms: lanes.map((_, lane) => flat((row) => [row.norms[lane]!])),
        kl: flat((row) => [row.kl]),
        entropy: flat((row) => [row.entropy]),
      };
    },
  };
}

interface Row {
  readonly combined: number[];
  readonly logZ: number;
  readonly logZTempered: number;
  readonly norms: number[];
  readonly kl: number;
  readonly entropy: number;
}

interface Terms {
  readonly weights: readonly number[];
  readonly inverse: number;
  readonly cut: number | null;
}

function mixRow(logits: readonly number[][], { weights, inverse, cut }: Terms): Row {
  const norms = logits.map(logSumExp);
  const logps = logits.map((row, k) => row.map((x) => x - norms[k]!));
  const base = logps[0]!;
  const least = cut === null ? -Infinity : Math.max(...base) + cut;
  const bends = logits.length > 1 || cut !== null;
  const combined = base.map((b, v) =>
    b === -Infinity || b < least
      ? -Infinity
      : logps.reduce((sum, logp, k) => sum + weights[k]! * Math.max(FLOOR, logp[v]!), 0),
  );
  const logZ = bends ? logSumExp(combined) : 0;
  let [kl, entropy] = [0, 0];
  combined.forEach((c, v) => {
    if (base[v]! > -Infinity) entropy -= Math.exp(base[v]!) * base[v]!;
    if (c > -Infinity && bends) kl += Math.exp(c - logZ) * (c - logZ - base[v]!);
  });
  return {
    combined,
    logZ,
    logZTempered: logSumExp(combined.map((c) => c * inverse)),
    norms,
    kl,
    entropy,
  };
}

export function logSumExp(x: readonly number[] | Reals): number {
  const max = Math.max(...x);
  let sum = 0;
  for (const v of x) sum += Math.exp(v - max);
  return max + Math.log(sum);
}
