/**
 * Draws from laws that were bent once more: log pi'(v) = log pi(v) + add(v) - log Z' over the likeliest tokens
 * (controlled decoding, FUDGE, METHODS.md 4). The sampler's own rules hold: this law is a row like any other.
 */

import type { Recorded } from '../core/engine.ts';
import { ServeError } from '../core/errors.ts';
import type { Added } from '../core/guide.ts';
import { logSumExp } from '../core/math.ts';
import type { Mixed } from '../core/model.ts';
import { STREAM, uniform } from '../core/philox.ts';
import type { Peeked } from '../core/tree.ts';
import { end, take, type Job } from './job.ts';
import { adjustments } from './adjustments.ts';
import { Sampler } from './sampler.ts';

export class Bending {
  readonly #sampler: Sampler;
  /** A row of -inf, but for the tokens at hand. */
  readonly #row: Float64Array;

  /** @param vocab the tokenizer's length */
  constructor(vocab: number) {
    this.#sampler = new Sampler(vocab);
    this.#row = new Float64Array(vocab).fill(-Infinity);
  }

  /** Draws the job's next token, or shows the law it would be drawn from. Throws if no token can be taken. */
  settle(job: Job, next: readonly Peeked[], added: readonly Added[]): void {
    const { branch, tree, sampling } = job;
    const { opening } = tree;
    const law = bentLaw(next, added, opening.record);
    if (law.length === 0)
      throw new ServeError(
        'reward_failed',
        `the value guides have no value for any of ${next.length} tokens`,
      );
    const changes = adjustments(sampling, branch.tokens, opening.lanes[0]!.prompt);
    const u = uniform(opening.seed, branch.tokens.length, branch.id, opening.choice, STREAM.token);
    law.forEach(({ token, logprob }) => (this.#row[token] = logprob));
    const mixed = rowOf(law, this.#row, sampling.temperature);
    const shown = this.#sampler.top(0, mixed, sampling, changes, job.peek);
    const token = this.#sampler.draw(0, mixed, sampling, changes, u);
    for (const { token: one } of law) this.#row[one] = -Infinity;
    const known = new Map(law.map((one) => [one.token, one]));
    if (job.peek > 0) {
      job.shown = shown.map(({ token: one, bias }) => ({ ...known.get(one)!, bias }));
      return end(job);
    }
    const drawn = known.get(token)!;
    const slot = branch.slots[0]!;
    if (opening.record.states) branch.addStates(slot.head!, 0, slot.pool.model.states);
    take(job, drawn.draw, drawn.logZ);
  }
}

/** The law over the tokens that can be taken, best first, the lowest id first on ties. */
export function bentLaw(
  next: readonly Peeked[],
  added: readonly Added[],
  record: Pick<Recorded, 'top' | 'guides'>,
): Peeked[] {
  const able = next
    .map((one, i) => ({ one, value: one.logprob + added[i]!.value, said: added[i]!.guides }))
    .filter(({ value }) => !Number.isNaN(value))
    .toSorted((a, b) => b.value - a.value || a.one.token - b.one.token);
  const logZ = logSumExp(able.map(({ value }) => value));
  const tokens = able.map(({ one, value }) => ({ token: one.token, logprob: value - logZ }));
  const kl = able.reduce((sum, { one }, i) => {
    const { logprob } = tokens[i]!;
    return logprob === -Infinity ? sum : sum + Math.exp(logprob) * (logprob - one.draw.base);
  }, 0);
  const top = tokens.slice(0, record.top);
  return able.map(({ one, said }, i) => ({
    ...one,
    ...tokens[i]!,
    logZ: one.logZ + logZ,
    draw: {
      ...one.draw,
      ...tokens[i]!,
      kl,
      top,
      guides: record.guides ? [...one.draw.guides, ...said] : one.draw.guides,
    },
  }));
}

/** One row, as the sampler reads a tail's. */
function rowOf(law: readonly Peeked[], combined: Float64Array, temperature: number): Mixed {
  const values = Float64Array.from(law, ({ logprob }) => logprob);
  const heat = temperature === 0 ? 1 : temperature;
  return {
    combined,
    vocab: combined.length,
    topValues: values,
    topTokens: Int32Array.from(law.flatMap(({ token }) => [token, 0])),
    k: law.length,
    logZ: Float64Array.of(0),
    logZTempered: Float64Array.of(logSumExp([...values].map((value) => value / heat))),
    norms: [],
    kl: NONE,
    entropy: NONE,
  };
}

const NONE = new Float64Array(1);
