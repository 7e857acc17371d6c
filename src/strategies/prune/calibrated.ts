/**
 * Speculative rejection whose alpha is chosen for the request: as large as the measured correlation rho of a reward's
 * scores of unfinished and of finished answers allows, so that the best of what is kept loses at most a share `loss` of
 * best-of-N's gain.
 * For scores that are jointly normal, with n answers of which the (1 - alpha) n best by the partial score are kept:
 *   gain(alpha) = E[max over the kept of rho z + sqrt(1 - rho^2) e],  z, e ~ N(0, 1),
 * and gain(0) is best-of-N's. rho is taken at the lower end of its 95 % interval (Fisher); where that is under
 * `min_correlation`, or nothing was measured, nothing is pruned there, and the response says why.
 */

import { either, integer, list, number, read, strict } from '../../core/fields.ts';
import { uniform } from '../../core/philox.ts';
import { surviving } from './speculative_rejection.ts';
import type { PruneRule } from './rule.ts';

export interface Calibrated {
  readonly decisions: readonly Decision[];
}

export interface Decision {
  readonly at: number;
  /** Lower end of the interval; null: nothing was measured at this length. */
  readonly rho: number | null;
  /** 0: nothing is given up. */
  readonly alpha: number;
  readonly refused: string | null;
}

const fields = strict({
  at: list(integer(1, 1_000_000), 16, 1).nullish(),
  loss: either(number(0, 1), 0.02),
  min_correlation: either(number(0, 1), 0.3),
});

export const calibrated: PruneRule<Calibrated> = {
  fields,
  parse(raw, { n, partial }) {
    const { at, loss, min_correlation: least } = read(fields, raw);
    const measured = partial?.() ?? [];
    const points = at ?? (measured.length > 0 ? measured.map(({ tokens }) => tokens) : [32]);
    const looked = [...new Set(points)]
      .toSorted((a, b) => a - b)
      .map((point) => {
        const found = measured.find(({ tokens }) => tokens === point);
        const rho = found ? lowerEnd(found.correlation, found.samples) : null;
        return { at: point, rho, refused: refusal(rho, least) };
      });
    // Where nothing is given up, nothing is lost: the others share the loss.
    const share = loss / looked.filter(({ refused }) => refused === null).length;
    const decisions = looked.map((one): Decision => {
      const alpha = one.refused === null ? largestAlpha(one.rho!, n, share) : 0;
      return { ...one, alpha };
    });
    return { decisions };
  },
  needs: 'prefix',
  together: true,
  points: ({ decisions }) => decisions.filter(({ alpha }) => alpha > 0).map(({ at }) => at),
  decide:
    ({ decisions }) =>
    async ({ growing, score }) => {
      const { alpha } = decisions.find(({ at }) => at === growing[0]!.tokens.length)!;
      return surviving(growing, await score(growing), alpha);
    },
  remarks: ({ decisions }) => ({
    pruning: decisions.map(({ at, rho, alpha, refused }) => ({
      at,
      correlation: rho,
      alpha,
      refused,
    })),
  }),
};

function refusal(rho: number | null, least: number): string | null {
  if (rho === null) return 'no correlation of partial and final scores was measured at this length';
  if (rho >= least) return null;
  return `the correlation of partial and final scores may be as low as ${rho.toFixed(2)}; ${least} is asked for`;
}

/** One-sided 95 %. */
const Z = 1.645;

/** Lower end of the interval of a correlation that was measured over so many pairs; -1 where they are too few. */
export const lowerEnd = (correlation: number, samples: number): number =>
  samples > 3
    ? Math.tanh(Math.atanh(Math.min(correlation, 1 - 1e-9)) - Z / Math.sqrt(samples - 3))
    : -1;

const STEP = 0.05;
const MOST = 0.9;
/** What is kept of more answers than these is much the same share. */
const MOST_ANSWERS = 64;

/** The largest share that may be given up of n. 0 where even the smallest costs more than `loss`. */
export function largestAlpha(rho: number, n: number, loss: number): number {
  const size = Math.min(n, MOST_ANSWERS);
  const gain = gains(rho, size);
  for (let alpha = MOST; alpha > STEP / 2; alpha -= STEP) {
    const kept = Math.max(1, Math.round((1 - alpha) * size));
    if (kept < size && gain[kept]! >= (1 - loss) * gain[size]!) return Number(alpha.toFixed(2));
  }
  return 0;
}

/** gain(alpha) by the number of answers that are kept of n, over pools that are always the same. */
function gains(rho: number, n: number): Float64Array {
  const rest = Math.sqrt(1 - rho * rho);
  const sums = new Float64Array(n + 1);
  for (const { z, e, ranked } of drawnPools()) {
    let [kept, best] = [0, -Infinity];
    for (const i of ranked) {
      if (i >= n) continue; // of a smaller pool there are only the first
      best = Math.max(best, rho * z[i]! + rest * e[i]!);
      sums[++kept]! += best;
    }
  }
  return sums.map((sum) => sum / POOLS);
}

/** Answers by number: their partial scores, what is left to the final ones, and the numbers by partial score, best first. */
interface Pool {
  readonly z: Float64Array;
  readonly e: Float64Array;
  readonly ranked: Uint8Array;
}

const POOLS = 400;

/** Drawn and ranked once: requests are parsed where all sockets are served. */
let pools: readonly Pool[] | null = null;
const drawnPools = (): readonly Pool[] =>
  (pools ??= Array.from({ length: POOLS }, (_, pool) => poolOf(pool)));

function poolOf(pool: number): Pool {
  const [z, e] = [new Float64Array(MOST_ANSWERS), new Float64Array(MOST_ANSWERS)];
  for (let i = 0; i < MOST_ANSWERS; i++) [z[i], e[i]] = normals(pool, i);
  return { z, e, ranked: Uint8Array.from(z.keys()).toSorted((a, b) => z[b]! - z[a]!) };
}

/** Two independent standard normals (Box and Muller). */
function normals(pool: number, i: number): readonly [number, number] {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(0n, i, pool, 0, 0)));
  const angle = 2 * Math.PI * uniform(0n, i, pool, 1, 0);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
