/**
 * Best-of-N: draw n answers, return argmax_i R_i, or answer i with probability softmax(R / lambda) (soft).
 * A pruning rule gives up answers while they grow (prune/); or answers are drawn one round after another, until one more
 * is not worth it (adaptive.ts).
 */

import { anything, either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import { softmax } from '../core/math.ts';
import type { Score } from '../core/reward.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { adaptiveField, adaptiveOf, rounds, weighs, type Adaptive } from './adaptive.ts';
import { klBound, tellGain } from './gain.ts';
import { pruned, pruningBy, type Prune } from './prune/index.ts';
import { alive, noScore, numberOr, pick, ranked } from './select.ts';

export interface BestOfN {
  readonly n: number;
  /** likelihood: R is the mean log-probability of a token. */
  readonly by: 'reward' | 'likelihood';
  /** 0: argmax. */
  readonly lambda: number;
  readonly prune: Prune;
  readonly adaptive: Adaptive | null;
  /** Tokens between two yields. */
  readonly chunk: number;
}

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
      chunk: context.stream ? 4 : 16,
    };
  },
  needs({ by, prune }) {
    if (by === 'likelihood') return 'nothing';
    return prune.needs === 'prefix' && prune.points.length > 0 ? 'prefix' : 'complete';
  },
  absolute: ({ prune, adaptive }) =>
    (prune.absolute && prune.points.length > 0) || (adaptive !== null && weighs(adaptive)),
  peak({ n, prune, adaptive }) {
    if (adaptive !== null)
      return same(Math.min(n, adaptive.round) + Number(adaptive.self !== null));
    const { together, spare, points } = prune;
    const least = Math.ceil(n / 4);
    if (points.length === 0) return { least, most: n }; // without decisions to take, in waves
    return same((together ? n : least) + spare); // who is the last one left must not depend on the width
  },
  extra: ({ prune, adaptive }) => adaptive?.self?.question.asks.length ?? prune.extra,
  prunes: ({ prune }) => prune.points.length > 0,
  top: ({ prune }) => prune.top,
  remarks({ n, lambda, prune, adaptive }) {
    const whole = prune.rule === null && adaptive === null && lambda === 0;
    return {
      ...prune.remarks,
      ...(whole ? { best_of: { n, kl_bound: klBound(n), win_rate: n / (n + 1) } } : {}),
    };
  },

  async *search(tree, params) {
    const { by, lambda, adaptive } = params;
    const score = by === 'reward' ? tree.score.bind(tree) : likelihood;
    tree.park([tree.root]); // an answer holds KV from its first token on
    const all = tree.fork(tree.root, params.n);
    const pool = yield* adaptive === null
      ? drawn(tree, all, params, score)
      : rounds(tree, all, adaptive, score);
    const scores = await score(pool);
    if (scores.every(({ value }) => Number.isNaN(value))) throw noScore();
    const order = ranked(pool, scores);
    tellGain(tree, scores);
    if (lambda === 0) return order;
    const tempered = scores.map(({ value }) => numberOr(value, -Infinity) / lambda);
    const chosen = pool[pick(softmax(tempered), tree.uniform(0))]!;
    return [chosen, ...order.filter((branch) => branch !== chosen)];
  },
};

const same = (rows: number) => ({ least: rows, most: rows });

type Scoring = (branches: readonly Branch[]) => Promise<readonly Score[]>;
type Drawing = AsyncGenerator<readonly Branch[], readonly Branch[], void>;

/** All answers to their ends, but for those that the rule gives up at its decision points. */
async function* drawn(
  tree: Tree,
  all: readonly Branch[],
  { prune, chunk }: BestOfN,
  score: Scoring,
): Drawing {
  const { decide, enough } = pruningBy(prune);
  const points = new Set(prune.points);
  const first = new Set(all.slice(0, prune.first));
  let pool = all;
  while (pool.some(alive)) {
    const done = pool.filter((branch) => !alive(branch));
    if (enough(done)) return done;
    const early = pool.filter((branch) => alive(branch) && first.has(branch));
    const batch = (early.length > 0 ? early : pool.filter(alive)).slice(
      0,
      tree.width - prune.spare,
    );
    const next = batch.map(({ tokens }) => nextPoint(prune.points, tokens.length));
    await tree.extend(batch, { tokens: Math.min(chunk, ...next) });
    const growing = batch.filter(
      (branch) => alive(branch) && points.has(branch.tokens.length) && !first.has(branch),
    );
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

/** Tokens from here to the next decision. */
const nextPoint = (points: readonly number[], length: number): number =>
  (points.find((point) => point > length) ?? Infinity) - length;

const likelihood: Scoring = async (branches) =>
  branches.map(({ logprob, tokens }) => ({
    value: logprob / Math.max(1, tokens.length),
    parts: {},
  }));
