/**
 * Best-of-N: draw n answers, return argmax_i R_i, or answer i with probability softmax(R / lambda) (soft).
 * A pruning rule gives up answers while they grow (prune/); or answers are drawn one round after another, until one more
 * is not worth it (adaptive.ts).
 */

import { either, integer, number, oneOf, strict } from '../core/fields.ts';
import type { Score } from '../core/reward.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { adaptiveField, adaptiveOf, rounds, type Adaptive } from './adaptive.ts';
import { klBound, tellGain } from './gain.ts';
import { pruneField, pruned, ruleOf, type Prune } from './prune/index.ts';
import { alive, numberOr, pick, ranked, softmax } from './select.ts';

export interface BestOfN {
  readonly n: number;
  /** likelihood: R is the mean log-probability of a token. */
  readonly by: 'reward' | 'likelihood';
  /** 0: argmax. */
  readonly lambda: number;
  readonly prune: Prune | null;
  readonly adaptive: Adaptive | null;
  /** Tokens between two yields. */
  readonly chunk: number;
  readonly maxTokens: number;
}

const fields = strict({
  n: either(integer(1, 65_536), 16),
  by: either(oneOf(['reward', 'likelihood']), 'reward'),
  select: either(oneOf(['argmax', 'soft']), 'argmax'),
  lambda: either(number(1e-6, 1e6), 1),
  prune: pruneField.nullish(),
  adaptive: adaptiveField.nullish(),
}).refine(({ prune, adaptive }) => !prune || !adaptive, {
  message:
    'left out beside prune: answers that come one after another are not compared as they grow',
  path: ['adaptive'],
});

export const bestOfN: Strategy<BestOfN> = {
  parse(raw, context) {
    const { n, by, select, lambda, prune, adaptive } = fields.parse(raw);
    const { stream, maxTokens } = context;
    return {
      n,
      by,
      lambda: select === 'soft' ? lambda : 0,
      prune: prune ? pruned(prune, { ...context, n }) : null,
      adaptive: adaptive ? adaptiveOf(adaptive, context) : null,
      chunk: stream ? 4 : 16,
      maxTokens,
    };
  },
  needs({ by, prune, maxTokens }) {
    const rule = ruleOf(prune, maxTokens);
    if (by === 'likelihood') return 'nothing';
    return rule.needs === 'prefix' && rule.points.length > 0 ? 'prefix' : 'complete';
  },
  peak({ n, prune, adaptive, maxTokens }) {
    if (adaptive !== null)
      return same(Math.min(n, adaptive.round) + Number(adaptive.self !== null));
    const { together, spare, points } = ruleOf(prune, maxTokens);
    const least = Math.ceil(n / 4);
    if (points.length === 0) return { least, most: n }; // without decisions to take, in waves
    return same((together ? n : least) + spare); // who is the last one left must not depend on the width
  },
  extra: ({ prune, adaptive, maxTokens }) =>
    adaptive?.self?.question.asks.length ?? ruleOf(prune, maxTokens).extra,
  prunes: ({ prune, maxTokens }) => ruleOf(prune, maxTokens).points.length > 0,
  top: ({ prune, maxTokens }) => ruleOf(prune, maxTokens).top,
  remarks({ n, lambda, prune, adaptive, maxTokens }) {
    const whole = prune === null && adaptive === null && lambda === 0;
    return {
      ...ruleOf(prune, maxTokens).remarks,
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
  { prune, chunk, maxTokens }: BestOfN,
  score: Scoring,
): Drawing {
  const rule = ruleOf(prune, maxTokens);
  const points = new Set(rule.points);
  const first = new Set(all.slice(0, rule.first));
  let pool = all;
  while (pool.some(alive)) {
    const done = pool.filter((branch) => !alive(branch));
    if (rule.enough(done)) return done;
    const early = pool.filter((branch) => alive(branch) && first.has(branch));
    const batch = (early.length > 0 ? early : pool.filter(alive)).slice(0, tree.width - rule.spare);
    const next = batch.map(({ tokens }) => nextPoint(rule.points, tokens.length));
    await tree.extend(batch, { tokens: Math.min(chunk, ...next) });
    const growing = batch.filter(
      (branch) => alive(branch) && points.has(branch.tokens.length) && !first.has(branch),
    );
    if (growing.length > 0) {
      yield pool; // whoever is given up now has been seen
      const { ranked: order, keep } = await rule.decide({
        tree,
        growing,
        done: wholeOf(pool),
        score,
      });
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
