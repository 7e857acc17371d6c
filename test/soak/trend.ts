/** How a figure moves: a line through the means of a few stretches of time, and how sure its slope is. */

export interface Trend {
  readonly slope: number;
  readonly standardError: number;
}

/** Neighbouring samples of a heap that fills and is collected are not independent; means of stretches nearly are. */
const STRETCHES = 10;

/** Least squares. @param points of (x, y) by ascending x, at least 3; @throws Error if there are fewer */
export function trendOf(points: readonly (readonly [x: number, y: number])[]): Trend {
  const means = stretchesOf(points);
  if (means.length < 3) throw new Error(`${means.length} points have no trend with an error`);
  const [x, y] = meanOf(means);
  const spread = sum(means, ([at]) => (at - x) ** 2);
  const slope = sum(means, ([at, value]) => (at - x) * (value - y)) / spread;
  const left = sum(means, ([at, value]) => (value - y - slope * (at - x)) ** 2);
  return { slope, standardError: Math.sqrt(left / (means.length - 2) / spread) };
}

type Point = readonly [x: number, y: number];

function stretchesOf(points: readonly Point[]): Point[] {
  const n = Math.min(STRETCHES, points.length);
  const edge = (i: number): number => Math.round((i * points.length) / n);
  return Array.from({ length: n }, (_, i) => meanOf(points.slice(edge(i), edge(i + 1))));
}

const meanOf = (points: readonly Point[]): Point => [
  sum(points, ([x]) => x) / points.length,
  sum(points, ([, y]) => y) / points.length,
];

const sum = (points: readonly Point[], of: (point: Point) => number): number =>
  points.reduce((total, point) => total + of(point), 0);
