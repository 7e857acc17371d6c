/** How far the rewards of a request say the same of its candidates, pair by pair of rewards. */

import { sum } from '../core/math.ts';

interface Judged {
  /** Scores by the rewards' ids. */
  readonly parts: Readonly<Record<string, number>>;
}

/** Null where one of the two says the same of all. */
interface Agreement {
  readonly rewards: readonly [string, string];
  /** That both have judged. */
  readonly candidates: number;
  /** Pearson's correlation. */
  readonly correlation: number | null;
  /** Kendall's tau-b: how far they rank alike, ties left out of account. */
  readonly kendall: number | null;
}

/** Two always agree or disagree wholly. */
const LEAST = 3;
/** Pairs of candidates are looked at one by one: of more, the first so many. */
const MOST = 256;

/** @param rewards ids; nothing is said of fewer than two */
export function agreementsOf(
  rewards: readonly string[],
  candidates: readonly Judged[],
): Agreement[] {
  const looked = candidates.slice(0, MOST);
  return rewards.flatMap((a, i) =>
    rewards.slice(i + 1).flatMap((b) => {
      const both = looked.flatMap(({ parts: { [a]: x, [b]: y } }) =>
        x !== undefined && y !== undefined && Number.isFinite(x + y) ? [[x, y] as const] : [],
      );
      if (both.length < LEAST) return [];
      const [xs, ys] = [both.map(([x]) => x), both.map(([, y]) => y)];
      const correlation = pearson(xs, ys);
      return { rewards: [a, b], candidates: both.length, correlation, kendall: kendall(xs, ys) };
    }),
  );
}

function pearson(xs: readonly number[], ys: readonly number[]): number | null {
  const centred = (values: readonly number[]): number[] => {
    const mean = sum(values) / values.length;
    return values.map((value) => value - mean);
  };
  const [x, y] = [centred(xs), centred(ys)];
  const inner = (a: readonly number[], b: readonly number[]): number =>
    sum(a.map((one, i) => one * b[i]!));
  const spread = Math.sqrt(inner(x, x) * inner(y, y));
  return spread > 0 ? inner(x, y) / spread : null;
}

/** (concordant - discordant) / sqrt(pairs that x tells apart * pairs that y tells apart). */
function kendall(xs: readonly number[], ys: readonly number[]): number | null {
  let [balance, byX, byY] = [0, 0, 0];
  for (let i = 0; i < xs.length; i++)
    for (let j = 0; j < i; j++) {
      const [x, y] = [Math.sign(xs[i]! - xs[j]!), Math.sign(ys[i]! - ys[j]!)];
      balance += x * y;
      byX += x * x;
      byY += y * y;
    }
  return byX > 0 && byY > 0 ? balance / Math.sqrt(byX * byY) : null;
}
