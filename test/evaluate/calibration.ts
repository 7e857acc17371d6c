/** How well chances tell what comes true: ranking (AUROC), calibration (ECE), and the two figures that mend it (Platt). */

/** A chance that was given, and whether it came true. */
export type Outcome = readonly [chance: number, true_: boolean];

/** That one which came true had a higher chance than one which did not; ties count half. NaN without both kinds. */
export function auroc(outcomes: readonly Outcome[]): number {
  const [good, bad] = [true, false].map((kind) =>
    outcomes.filter(([, is]) => is === kind).map(([chance]) => chance),
  );
  const wins = good!.reduce(
    (sum, g) => sum + bad!.reduce((n, b) => n + (g > b ? 1 : g === b ? 0.5 : 0), 0),
    0,
  );
  return wins / (good!.length * bad!.length);
}

export interface Bin {
  readonly count: number;
  /** Mean chance, and share that came true. */
  readonly said: number;
  readonly was: number;
}

/** Ten bins of equal width; those that hold nothing are left out. */
export function bins(outcomes: readonly Outcome[]): Bin[] {
  return Array.from({ length: 10 }, (_, i) =>
    outcomes.filter(([chance]) => Math.min(9, Math.floor(10 * chance)) === i),
  )
    .filter((of) => of.length > 0)
    .map((of) => ({
      count: of.length,
      said: of.reduce((sum, [chance]) => sum + chance, 0) / of.length,
      was: of.filter(([, is]) => is).length / of.length,
    }));
}

/** Expected calibration error: how far bins are from what they said, by their size. */
export const ece = (outcomes: readonly Outcome[]): number =>
  bins(outcomes).reduce((sum, { count, said, was }) => sum + count * Math.abs(said - was), 0) /
  outcomes.length;

const STEPS = 100;
const FAR = 1e-6;

/** log-odds, kept finite. */
const logit = (p: number): number => {
  const inside = Math.min(1 - FAR, Math.max(FAR, p));
  return Math.log(inside) - Math.log1p(-inside);
};

interface Fit {
  readonly scale: number;
  readonly shift: number;
}

/**
 * Platt's fit of P(true) = sigmoid(scale logit(chance) + shift), by Newton's method with steps halved until they help, and
 * with a weak pull towards (1, 0), so that kinds that can be told apart wholly leave it finite.
 */
export function platt(outcomes: readonly Outcome[]): Fit {
  const points = outcomes.map(([chance, is]) => [logit(chance), Number(is)] as const);
  let at: Fit = { scale: 1, shift: 0 };
  for (let step = 0; step < STEPS; step++) {
    const { scale, shift } = newton(points, at);
    let size = 1;
    const next = (): Fit => ({ scale: at.scale - size * scale, shift: at.shift - size * shift });
    while (size > FAR && loss(points, next()) > loss(points, at)) size /= 2;
    if (size <= FAR) return at;
    at = next();
  }
  return at;
}

type Points = readonly (readonly [x: number, is: number])[];

/** -log likelihood, and the pull. */
const loss = (points: Points, { scale, shift }: Fit): number =>
  points.reduce((sum, [x, is]) => {
    const z = (scale * x + shift) * (is === 1 ? -1 : 1);
    return sum + Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  }, 0) +
  ((scale - 1) ** 2 + shift ** 2) / 2;

/** What Newton's step would take off. */
function newton(points: Points, { scale, shift }: Fit): Fit {
  let [ga, gb, aa, ab, bb] = [scale - 1, shift, 1, 0, 1];
  for (const [x, is] of points) {
    const p = 1 / (1 + Math.exp(-(scale * x + shift)));
    const [error, weight] = [p - is, p * (1 - p)];
    [ga, gb] = [ga + error * x, gb + error];
    [aa, ab, bb] = [aa + weight * x * x, ab + weight * x, bb + weight];
  }
  const det = aa * bb - ab * ab;
  return { scale: (bb * ga - ab * gb) / det, shift: (aa * gb - ab * ga) / det };
}
