/**
 * How well answers follow what different users wish for (METHODS.md 8: the figures of PARM): goals in the order of their weights,
 * rewards of the answers given for each wish.
 */

import { mean } from './asked.ts';

type Point = readonly number[];

/** Mean over wishes of <w, r>: how much of what was wished for is there. @param rewards one point per wish */
export const meanInnerProduct = (wishes: readonly Point[], rewards: readonly Point[]): number =>
  mean(wishes.map((wish, i) => wish.reduce((sum, w, goal) => sum + w * rewards[i]![goal]!, 0)));

/**
 * The area in which some point is better in both goals than where one stands, from a reference on: the larger, the better
 * and the more varied the points.
 * @param points of two goals @param reference counted as 0; what is worse than it in a goal adds nothing
 */
export function hypervolume(points: readonly Point[], [x0, y0]: readonly [number, number]): number {
  let [area, height] = [0, y0];
  const front = points.toSorted((a, b) => b[0]! - a[0]!);
  for (const [i, [x, y]] of front.entries()) {
    height = Math.max(height, y!);
    const next = Math.max(x0, front[i + 1]?.[0] ?? x0);
    area += Math.max(0, x! - next) * (height - y0);
  }
  return area;
}
