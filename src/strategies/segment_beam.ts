/**
 * Beam search over segments: CBS (Zhou et al. 2024, weak-to-strong search), step beam with a value model, macro actions.
 * Each round, every one of W hypotheses tries K continuations of one segment, and the W best by reward of the pool
 * survive; finished ones compete. Where none of the pool can be judged, each hypothesis goes on by its first segment.
 * W = 1 is blockwise best-of-K (controlled decoding, Mudgal et al. 2023).
 */

import { either, integer, read, strict } from '../core/fields.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Branch, Reach, Tree } from '../core/tree.ts';
import { segmentField } from './segment.ts';
import { alive, best } from './select.ts';

interface SegmentBeam {
  readonly W: number;
  readonly K: number;
  readonly segment: Reach;
}

async function* search(tree: Tree, { W, K, segment }: SegmentBeam): Search {
  let hypotheses: Branch[] = [tree.root];
  let tries = W * K; // the root's share is that of all W
  while (hypotheses.some(alive)) {
    const pool = tiled(tree, hypotheses, tries);
    tries = K;
    await tree.extend(pool, segment);
    hypotheses = best(pool, await tree.score(pool), W);
    yield hypotheses;
  }
  return hypotheses;
}

/** The hypotheses repeated k times as a whole list: ties then go to the better parent. Finished ones are there once. */
export function tiled(
  tree: Pick<Tree, 'fork'>,
  hypotheses: readonly Branch[],
  k: number,
): Branch[] {
  const twins = hypotheses.map((one) => (alive(one) ? tree.fork(one, k) : [one]));
  return Array.from({ length: k }, (_, i) => twins.flatMap((row) => row.slice(i, i + 1))).flat();
}

const fields = strict({
  width: either(integer(1, 64), 4),
  expand: either(integer(1, 64), 4),
  segment: either(segmentField, { tokens: 30 }),
}).refine(({ width, expand }) => width * expand <= 256, {
  message: 'such that width x expand is at most 256',
  path: ['expand'],
});

export const segmentBeam: Strategy<SegmentBeam> = {
  fields,
  parse(raw) {
    const { width: W, expand: K, segment } = read(fields, raw);
    return { W, K, segment };
  },
  needs: () => 'prefix',
  peak: ({ W, K }) => exactly(W * K),
  search,
};
