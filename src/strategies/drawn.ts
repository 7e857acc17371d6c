/** The answers of a best-of-N, drawn side by side, while a pruning rule (prune/) gives up some at its decision points. */

import type { Search } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { pruningBy, type Prune } from './prune/index.ts';
import { alive } from './select.ts';

/** Tokens between two yields. */
const PACE = 8;

/**
 * All answers to their ends, but for those that the rule gives up.
 * @param all parked, and none of them begun
 * @param score by what they are chosen in the end
 */
export async function* drawn(
  tree: Tree,
  all: readonly Branch[],
  prune: Prune,
  score: Tree['score'],
): Search {
  const { decide, enough } = pruningBy(prune);
  const first = new Set(all.slice(0, prune.first));
  let pool = all;
  while (pool.some(alive)) {
    const done = wholeOf(pool);
    if (enough(done)) return done;
    const batch = nextOf(pool, first).slice(0, tree.width - prune.spare);
    const ahead = batch.map(({ tokens }) => nextPoint(prune.points, tokens.length));
    await tree.extend(batch, { tokens: Math.min(PACE, ...ahead) });
    const growing = batch.filter((branch) => isDue(branch, prune.points) && !first.has(branch));
    if (growing.length > 0) {
      yield pool; // whoever is given up now has been seen
      const { ranked: order, keep } = await decide({ tree, growing, done: wholeOf(pool), score });
      const spare = growing.length < pool.length ? 0 : 1; // one answer there must be
      const gone = new Set(order.slice(Math.max(spare, keep)));
      pool = pool.filter((branch) => !gone.has(branch));
    }
    yield pool; // answers not yet begun too: nothing is certain before they are
  }
  return pool;
}

const wholeOf = (pool: readonly Branch[]): Branch[] => pool.filter((branch) => !alive(branch));

/** Whose turn it is: those that are drawn whole before the others begin, while there are any. */
function nextOf(pool: readonly Branch[], first: ReadonlySet<Branch>): Branch[] {
  const growing = pool.filter(alive);
  const early = growing.filter((branch) => first.has(branch));
  return early.length > 0 ? early : growing;
}

/** Tokens from here to the next decision. */
const nextPoint = (points: readonly number[], length: number): number =>
  (points.find((point) => point > length) ?? Infinity) - length;

const isDue = (branch: Branch, points: readonly number[]): boolean =>
  alive(branch) && points.includes(branch.tokens.length);
