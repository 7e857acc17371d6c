/**
 * Best-of-N: n answers are drawn, and of their rewards R_i
 *   argmax_i R_i,                                                                                      (1)
 * or answer i with probability softmax(R / lambda)_i,                                                  (2)
 * is returned. A pruning rule gives up answers while they grow (drawn.ts, prune/), or elects one by itself; or they are
 * drawn one round after another, until one more is not worth it (adaptive.ts).
 */

import { anything, either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import { softmax } from '../core/math.ts';
import { exactly, inWaves, type Search, type Strategy } from '../core/strategy.ts';
import type { Tree } from '../core/tree.ts';
import { adaptiveField, adaptiveOf, rounds, weighs, type Adaptive } from './adaptive.ts';
import { drawn } from './drawn.ts';
import { klBound, tellGain } from './gain.ts';
import { election, pruned, type Prune } from './prune/index.ts';
import { noScore, numberOr, pick, ranked } from './select.ts';

interface BestOfN {
  readonly n: number;
  /** likelihood: R is the mean log-probability of a token. */
  readonly by: 'reward' | 'likelihood';
  /** 0: argmax. */
  readonly lambda: number;
  readonly prune: Prune;
  readonly adaptive: Adaptive | null;
}

async function* search(tree: Tree, { n, by, lambda, prune, adaptive }: BestOfN): Search {
  const score = by === 'reward' ? tree.score.bind(tree) : likelihood;
  tree.park([tree.root]); // an answer holds KV from its first token on
  const all = tree.fork(tree.root, n);
  if (prune.elects) return yield* election(tree, all, prune);
  const pool = yield* adaptive === null
    ? drawn(tree, all, prune, score)
    : rounds(tree, all, adaptive, score);
  const scores = await score(pool);
  if (scores.every(({ value }) => Number.isNaN(value))) throw noScore();
  tellGain(tree, scores);
  const order = ranked(pool, scores); // (1)
  if (lambda === 0) return order;
  const tempered = scores.map(({ value }) => numberOr(value, -Infinity) / lambda);
  const chosen = pool[pick(softmax(tempered), tree.uniform(0))]!; // (2)
  return [chosen, ...order.filter((branch) => branch !== chosen)];
}

const likelihood: Tree['score'] = async (branches) =>
  branches.map(({ logprob, tokens }) => ({
    value: logprob / Math.max(1, tokens.length),
    parts: {},
  }));

/** Whether there are decisions to take. */
const prunes = ({ elects, points }: Prune): boolean => elects || points.length > 0;

const fields = strict({
  n: either(integer(1, 65_536), 16),
  by: either(oneOf(['reward', 'likelihood']), 'reward'),
  select: either(oneOf(['argmax', 'soft']), 'argmax'),
  lambda: either(number(1e-6, 1e6), 1),
  prune: anything,
  adaptive: adaptiveField.nullish(),
}).refine(({ prune, adaptive }) => !prune || !adaptive, {
  message:
    'left out beside prune: answers that come one after another are not compared as they grow',
  path: ['adaptive'],
});

export const bestOfN: Strategy<BestOfN> = {
  fields,
  parse(raw, context) {
    const { n, by, select, lambda, prune, adaptive } = read(fields, raw);
    return {
      n,
      by,
      lambda: select === 'soft' ? lambda : 0,
      prune: pruned(prune, { ...context, n }),
      adaptive: adaptive ? adaptiveOf(adaptive, context) : null,
    };
  },
  needs({ by, prune }) {
    if (by === 'likelihood' || prune.elects) return 'nothing';
    return prune.needs === 'prefix' && prune.points.length > 0 ? 'prefix' : 'complete';
  },
  absolute: ({ prune, adaptive }) =>
    (prune.absolute && prune.points.length > 0) || (adaptive !== null && weighs(adaptive)),
  peak({ n, prune, adaptive }) {
    if (adaptive !== null)
      return exactly(Math.min(n, adaptive.round) + Number(adaptive.self !== null));
    const { together, spare } = prune;
    if (!prunes(prune)) return inWaves(n);
    return exactly((together ? n : inWaves(n).least) + spare); // who is the last one left must not depend on the width
  },
  extra: ({ prune, adaptive }) => adaptive?.self?.question.asks.length ?? prune.extra,
  prunes: ({ prune }) => prunes(prune),
  top: ({ prune }) => prune.top,
  states: ({ prune }) => prune.states,
  remarks({ n, lambda, prune, adaptive }) {
    const whole = prune.rule === null && adaptive === null && lambda === 0;
    return {
      ...prune.remarks,
      ...(whole ? { best_of: { n, kl_bound: klBound(n), win_rate: n / (n + 1) } } : {}),
    };
  },
  search,
};
