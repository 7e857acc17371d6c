/**
 * Best-of-N: draw n answers, return argmax_i R_i, or answer i with probability softmax(R / lambda) (soft).
 * Speculative rejection (Sun et al. 2024) gives up the worst share alpha of the unfinished ones at each decision
 * point, by the reward of what is there; finished answers stay candidates, and one unfinished always stays.
 */

import { z } from 'zod';
import { integer, list, number, oneOf, strict } from '../core/fields.ts';
import type { Score } from '../core/reward.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch } from '../core/tree.ts';
import { alive, numberOr, pick, ranked, softmax } from './select.ts';

export interface BestOfN {
  readonly n: number;
  /** likelihood: R is the mean log-probability of a token. */
  readonly by: 'reward' | 'likelihood';
  /** 0: argmax. */
  readonly lambda: number;
  readonly alpha: number;
  /** Decision points, in tokens. */
  readonly at: readonly number[];
  /** Tokens between two yields. */
  readonly chunk: number;
}

const fields = strict({
  n: integer(1, 65_536).default(16),
  by: oneOf(['reward', 'likelihood']).default('reward'),
  select: oneOf(['argmax', 'soft']).default('argmax'),
  lambda: number(1e-6, 1e6).default(1),
  prune: strict({
    type: z.literal('speculative_rejection', 'speculative_rejection'),
    alpha: number(0, 0.99).default(0.5),
    at: list(integer(1, 1_000_000), 64, 1).default([16, 32, 64]),
  }).nullish(),
});

export const bestOfN: Strategy<BestOfN> = {
  parse(raw, { stream }) {
    const { n, by, select, lambda, prune } = fields.parse(raw);
    const alpha = prune?.alpha ?? 0;
    const at = [...new Set(prune?.at)].toSorted((a, b) => a - b);
    const chunk = stream ? 4 : 16;
    return { n, by, lambda: select === 'soft' ? lambda : 0, alpha, at: alpha > 0 ? at : [], chunk };
  },
  needs: ({ by, at }) => (by === 'likelihood' ? 'nothing' : at.length > 0 ? 'prefix' : 'complete'),
  /** Without decisions to take side by side, answers may be drawn in waves. */
  peak: ({ n, at }) => ({ least: at.length > 0 ? n : Math.ceil(n / 4), most: n }),
  prunes: ({ at }) => at.length > 0,

  async *search(tree, { n, by, lambda, alpha, at, chunk }) {
    const scored = async (branches: readonly Branch[]): Promise<readonly Score[]> =>
      by === 'reward' ? tree.score(branches) : branches.map(likelihood);
    tree.park([tree.root]); // an answer holds KV from its first token on
    let pool = tree.fork(tree.root, n);
    for (const point of at) {
      const growing = pool.filter(alive);
      const tokens = point - (growing[0]?.tokens.length ?? point);
      await tree.extend(growing, { tokens });
      const unfinished = growing.filter(alive);
      const kept = new Set(surviving(unfinished, await scored(unfinished), alpha));
      pool = pool.filter((branch) => !alive(branch) || kept.has(branch));
      yield pool;
    }
    while (pool.some(alive)) {
      await tree.extend(pool.filter(alive).slice(0, tree.width), { tokens: chunk });
      yield pool; // answers not yet begun too: nothing is certain before they are
    }
    const scores = await scored(pool);
    const order = ranked(pool, scores);
    if (lambda === 0) return order;
    const tempered = scores.map(({ value }) => numberOr(value, -Infinity) / lambda);
    const chosen = pool[pick(softmax(tempered), tree.uniform(0))]!;
    return [chosen, ...order.filter((branch) => branch !== chosen)];
  },
};

/** The best round((1 - alpha) * n), half to even, and at least one. */
export function surviving(
  branches: readonly Branch[],
  scores: readonly Score[],
  alpha: number,
): readonly Branch[] {
  return ranked(branches, scores).slice(0, Math.max(1, halfEven((1 - alpha) * branches.length)));
}

const likelihood = ({ logprob, tokens }: Branch): Score => ({
  value: logprob / Math.max(1, tokens.length),
  parts: {},
});

function halfEven(x: number): number {
  const below = Math.floor(x);
  const half = x - below === 0.5;
  return half ? below + (below % 2) : Math.round(x);
}
