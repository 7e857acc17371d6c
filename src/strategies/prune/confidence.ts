/**
 * DeepConf (Fu et al. 2025): no reward, only the policy's own log-probs. The confidence of a token is minus the mean log-prob of the five
 * likeliest; of a group, the mean over a sliding window. The first answers are drawn whole and set a threshold, a quantile
 * of their lowest group confidences; of the others each is given up once a group of it falls below.
 * Consensus: once the answers that are whole agree by a large enough share, no more are drawn.
 */

import { either, integer, number, strict } from '../../core/fields.ts';
import type { Branch, Draw } from '../../core/tree.ts';
import { answerField, answerIn, type Extract } from '../../core/answer.ts';
import { descending, quantileOf } from '../select.ts';
import { tally } from '../vote.ts';
import { everyFrom, type PruneRule } from './rule.ts';

export interface Confidence {
  readonly window: number;
  readonly warmUp: number;
  readonly quantile: number;
  readonly least: number;
  readonly every: number;
  readonly consensus: { readonly answer: Extract; readonly share: number } | null;
}

const fields = strict({
  window: either(integer(1, 65_536), 32),
  warm_up: either(integer(1, 256), 4),
  quantile: either(number(0, 1), 0.1),
  min_tokens: either(integer(1, 1_000_000), 16),
  every: either(integer(1, 1_000_000), 8),
  answer: answerField.nullish(),
  consensus: either(number(0.5, 1), 0.95),
});

/** Of the likeliest tokens. */
const TOP = 5;

export const confidence: PruneRule<Confidence> = {
  parse(raw) {
    const { warm_up: warmUp, min_tokens: least, answer, ...rest } = fields.parse(raw);
    const { window, quantile, every, consensus: share } = rest;
    return { window, warmUp, quantile, least, every, consensus: answer ? { answer, share } : null };
  },
  needs: 'nothing',
  together: false,
  first: ({ warmUp }) => warmUp,
  top: TOP,
  points: ({ least, every }, maxTokens) => everyFrom(least, every, maxTokens),
  async decide(params, { growing, done }) {
    const lowest = (branch: Branch): number => lowestOf(branch, params);
    const bar = quantileOf(done.slice(0, params.warmUp).map(lowest), params.quantile);
    const ranked = growing.toSorted((a, b) => descending(lowest(a), lowest(b)));
    return { ranked, keep: ranked.filter((branch) => lowest(branch) >= bar).length };
  },
  enough({ consensus, warmUp }, done) {
    if (consensus === null || done.length < warmUp) return false;
    const votes = tally(
      done.map(({ text }) => answerIn(text, consensus.answer)),
      null,
      'majority',
    );
    const all = [...votes.values()].reduce((sum, n) => sum + n, 0);
    return all > 0 && Math.max(...votes.values()) / all >= consensus.share;
  },
};

/** Minus the mean log-prob of the likeliest tokens: high where few others come into question. */
export function confidenceOf({ top }: Pick<Draw, 'top'>): number {
  const likeliest = top.slice(0, TOP);
  return -likeliest.reduce((sum, { logprob }) => sum + logprob, 0) / likeliest.length;
}

/** The lowest mean over `window` tokens, from the least length on; of an answer shorter than that, its mean. */
function lowestOf({ draws }: Branch, { window, least }: Confidence): number {
  let [sum, lowest] = [0, Infinity];
  draws.forEach((draw, i) => {
    sum += confidenceOf(draw);
    if (i >= window) sum -= confidenceOf(draws[i - window]!);
    if (i + 1 >= Math.min(least, draws.length))
      lowest = Math.min(lowest, sum / Math.min(window, i + 1));
  });
  return lowest;
}
