/**
 * Speculative rejection (Sun et al. 2024): at each decision point the worst share alpha of the unfinished answers is given up,
 * by the reward of what is there. Finished answers stay candidates, and one unfinished always stays.
 */

import { either, integer, list, number, read, strict } from '../../core/fields.ts';
import type { Score } from '../../core/reward.ts';
import type { Branch } from '../../core/tree.ts';
import { ranked } from '../select.ts';
import { lengthsOf, type PruneRule, type Verdict } from './rule.ts';

interface SpeculativeRejection {
  readonly alpha: number;
  /** Decision points, in tokens. */
  readonly at: readonly number[];
}

const fields = strict({
  alpha: either(number(0, 0.99), 0.5),
  at: either(list(integer(1, 1_000_000), 64, 1), [16, 32, 64]),
});

export const speculativeRejection: PruneRule<SpeculativeRejection> = {
  fields,
  parse(raw) {
    const { alpha, at } = read(fields, raw);
    return { alpha, at: lengthsOf(at, alpha) };
  },
  needs: 'prefix',
  together: true,
  points: ({ at }) => at,
  decide:
    ({ alpha }) =>
    async ({ growing, score }) =>
      surviving(growing, await score(growing), alpha),
};

/** The best round((1 - alpha) * n), half to even, and at least one. */
export const surviving = (
  branches: readonly Branch[],
  scores: readonly Score[],
  alpha: number,
): Verdict => ({
  ranked: ranked(branches, scores),
  keep: keptOf(branches.length, alpha),
});

/** How many of n go on. */
export const keptOf = (n: number, alpha: number): number => Math.max(1, halfEven((1 - alpha) * n));

function halfEven(x: number): number {
  const below = Math.floor(x);
  const half = x - below === 0.5;
  return half ? below + (below % 2) : Math.round(x);
}
