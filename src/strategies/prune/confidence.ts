/**
 * DeepConf (Fu et al. 2025): no reward, only the policy's own log-probs. The confidence of a token is minus the mean
 * log-prob of the five likeliest; of a group, the mean over a sliding window. The first answers are drawn whole and set a
 * threshold, a quantile of their lowest group confidences; of the others each is given up once a group of it falls below.
 * Consensus: once the answers that are whole agree by a large enough share, no more are drawn.
 */

import { either, integer, number, read, strict } from '../../core/fields.ts';
import { quantile, sum } from '../../core/math.ts';
import type { Branch, Draw } from '../../core/tree.ts';
import { answerField, answerIn, type Extract } from '../../core/answer.ts';
import { descending } from '../select.ts';
import { tally } from '../tally.ts';
import { everyFrom, type PruneRule } from './rule.ts';

interface Confidence {
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
  fields,
  parse(raw) {
    const { warm_up: warmUp, min_tokens: least, answer, ...rest } = read(fields, raw);
    const { window, quantile, every, consensus: share } = rest;
    return { window, warmUp, quantile, least, every, consensus: answer ? { answer, share } : null };
  },
  needs: 'nothing',
  together: false,
  first: ({ warmUp }) => warmUp,
  top: TOP,
  points: ({ least, every }, maxTokens) => everyFrom(least, every, maxTokens),
  decide(params) {
    const readings = new WeakMap<Branch, Reading>();
    const lowest = (branch: Branch): number => {
      const reading = readings.get(branch) ?? new Reading(params);
      readings.set(branch, reading);
      return reading.lowestOf(branch);
    };
    return async ({ growing, done }) => {
      const bar = quantile(done.slice(0, params.warmUp).map(lowest), params.quantile);
      const all = growing.map((branch) => ({ branch, value: lowest(branch) }));
      const order = all.toSorted((a, b) => descending(a.value, b.value));
      return {
        ranked: order.map(({ branch }) => branch),
        keep: order.filter(({ value }) => value >= bar).length,
      };
    };
  },
  enough({ consensus, warmUp }, done) {
    if (consensus === null || done.length < warmUp) return false;
    const votes = tally(
      done.map(({ text }) => answerIn(text, consensus.answer)),
      null,
      'majority',
    );
    const all = sum(votes.values());
    return all > 0 && Math.max(...votes.values()) / all >= consensus.share;
  },
};

/** Minus the mean log-prob of the likeliest tokens: high where few others come into question. */
export function confidenceOf({ top }: Pick<Draw, 'top'>): number {
  const likeliest = top.slice(0, TOP);
  return -sum(likeliest.map(({ logprob }) => logprob)) / likeliest.length;
}

/** An answer's confidences as far as it has been read: as it grows only what is new is. */
class Reading {
  readonly #window: number;
  readonly #least: number;
  readonly #all: number[] = [];
  /** Of the last `window` tokens. */
  #sum = 0;
  #lowest = Infinity;

  constructor({ window, least }: Confidence) {
    [this.#window, this.#least] = [window, least];
  }

  /** The lowest mean over `window` tokens, from the least length on; of an answer shorter than that, its mean. */
  lowestOf({ draws }: Branch): number {
    for (const draw of draws.slice(this.#all.length)) {
      const now = confidenceOf(draw);
      this.#sum += now;
      this.#sum -= this.#all[this.#all.length - this.#window] ?? 0; // it has left the window
      this.#all.push(now);
      if (this.#all.length >= this.#least) this.#lowest = Math.min(this.#lowest, this.#mean());
    }
    return this.#all.length < this.#least ? this.#mean() : this.#lowest;
  }

  #mean(): number {
    return this.#sum / Math.min(this.#window, this.#all.length);
  }
}
