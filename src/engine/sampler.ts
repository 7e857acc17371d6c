/**
 * Draws one token from a row of the tail: bias and penalties, temperature, top-k, top-p, min-p, then the inverse
 * CDF over tokens from the likeliest down. Exact over the whole vocabulary: the likeliest, which the tail lists, usually decide;
 * where they cannot, so do those of the full row that are likely enough, band by band, under the same rule: every way gives the same token.
 */

import type { Mixed } from '../core/model.ts';
import type { NextToken, Sampling, Token } from '../core/tree.ts';
import { adjusted, type Adjustments } from './adjustments.ts';

/** A token, its log-prob in the guided law, and what adjustments add to that. */
export interface Biased extends NextToken {
  readonly bias: number;
}

/** If the tokens we adjust held nearly all mass, what is left is a difference of near-equal numbers. */
const CANCELLATION = 1e-3;
/** Nats further down that each look at the full row goes, and from where on there is little left to sort. */
const BAND = 2;
const DEEP = 16;

export class Sampler {
  readonly #vocab: number;
  /** Candidates from the likeliest down: ids, and log-probs over temperature, up to one constant. */
  readonly #tokens: Int32Array;
  readonly #values: Float64Array;
  #count = 0;
  /** Mass of the tokens that are not candidates, and the most that a single one of them may have (log). */
  #rest = 0;
  #bound = -Infinity;
  readonly #order: number[] = [];

  constructor(vocab: number) {
    this.#vocab = vocab;
    this.#tokens = new Int32Array(vocab);
    this.#values = new Float64Array(vocab);
  }

  /**
   * @param u uniform in [0, 1)
   * @param adjustments null when there are none
   */
  draw(row: number, mixed: Mixed, s: Sampling, adjustments: Adjustments | null, u: number): Token {
    if (adjustments === null && !truncates(s)) {
      const token = plain(row, mixed, s.temperature, u);
      if (token !== null) return token;
    }
    const total = this.#prepare(row, mixed, s, adjustments);
    if (s.temperature === 0) return this.#tokens[0]!;
    for (;;) {
      let left = u * total;
      for (let i = 0; i < this.#count; i++) {
        left -= Math.exp(this.#values[i]!);
        if (left < 0) return this.#tokens[i]!;
      }
      if (this.#rest === 0) return this.#lastPossible();
      this.#widen(row, mixed, s, adjustments);
    }
  }

  /** The `n` likeliest tokens that `draw` could give, best first. */
  top(
    row: number,
    mixed: Mixed,
    s: Sampling,
    adjustments: Adjustments | null,
    n: number,
  ): Biased[] {
    this.#prepare(row, mixed, s, adjustments);
    while (this.#rest > 0 && !(this.#count >= n && this.#values[n - 1]! > this.#bound))
      this.#widen(row, mixed, s, adjustments);
    const norm = mixed.logZ[row]!;
    const top: Biased[] = [];
    for (let i = 0; i < this.#count && top.length < n && this.#values[i]! > -Infinity; i++) {
      const token = this.#tokens[i]!;
      const value = mixed.combined[row * this.#vocab + token]!;
      const adjustment = adjustments?.get(token);
      const bias = adjustment === undefined ? 0 : adjusted(value, norm, adjustment) - value;
      top.push({ token, logprob: value - norm, bias });
    }
    return top;
  }

  /** The probabilities `draw` uses, by token id; [vocab]. */
  law(row: number, mixed: Mixed, s: Sampling, adjustments: Adjustments | null): Float64Array {
    const law = new Float64Array(this.#vocab);
    const total = this.#prepare(row, mixed, s, adjustments);
    if (s.temperature === 0) law[this.#tokens[0]!] = 1;
    else {
      while (this.#rest > 0) this.#widen(row, mixed, s, adjustments);
      for (let i = 0; i < this.#count; i++)
        law[this.#tokens[i]!] = Math.exp(this.#values[i]!) / total;
    }
    return law;
  }

  /** Loads the candidates, truncated; returns the mass they are drawn from. */
  #prepare(row: number, mixed: Mixed, s: Sampling, adjustments: Adjustments | null): number {
    this.#loadTop(row, mixed, s, adjustments);
    for (;;) {
      const total = this.#truncate(s);
      if (total !== null) return total;
      this.#widen(row, mixed, s, adjustments);
    }
  }

  /** The tokens that the tail lists and every adjusted one; the rest as one mass. */
  #loadTop(row: number, mixed: Mixed, s: Sampling, adjustments: Adjustments | null): void {
    const { k, topValues, topTokens } = mixed;
    const inverse = inverseOf(s);
    const z = normOf(row, mixed, s);
    this.#count = 0;
    let known = 0;
    for (let i = row * k; i < row * k + k; i++) {
      const token = topTokens[2 * i]!;
      const value = topValues[i]! * inverse - z;
      if (adjustments?.has(token)) continue;
      known += Math.exp(value);
      this.#push(token, value);
    }
    this.#bound = k === this.#vocab ? -Infinity : topValues[row * k + k - 1]! * inverse - z;
    this.#adjust(row, mixed, s, adjustments, known);
  }

  /** Goes a band further down: all tokens that are likelier than the new bound and every adjusted one; the rest as one mass. */
  #widen(row: number, mixed: Mixed, s: Sampling, adjustments: Adjustments | null): void {
    const { k, topValues, combined } = mixed;
    const inverse = inverseOf(s);
    const z = normOf(row, mixed, s);
    const depth = topValues[row * k]! * inverse - z - this.#bound + BAND;
    // What is in order stays so, unless adjusted tokens stand in between.
    const ceiling = adjustments === null ? this.#bound : Infinity;
    while (this.#count > 0 && this.#values[this.#count - 1]! <= ceiling) this.#count--;
    const from = this.#count;
    this.#bound = Number.isNaN(this.#rest) || depth > DEEP ? -Infinity : this.#bound - BAND;
    for (let token = 0, at = row * this.#vocab; token < this.#vocab; token++, at++) {
      const value = combined[at]! * inverse - z;
      if (value > this.#bound && value <= ceiling && !adjustments?.has(token))
        this.#push(token, value);
    }
    this.#sort(from);
    let known = 0;
    for (let i = 0; i < this.#count; i++) known += Math.exp(this.#values[i]!);
    this.#adjust(row, mixed, s, adjustments, known);
  }

  /** Takes in the adjusted tokens, in order, and finds out what is left. @param known mass of the others that were taken */
  #adjust(
    row: number,
    mixed: Mixed,
    s: Sampling,
    adjustments: Adjustments | null,
    known: number,
  ): void {
    const inverse = inverseOf(s);
    const z = normOf(row, mixed, s);
    let gone = 0;
    if (adjustments !== null) {
      for (const [token, adjustment] of adjustments) {
        const value = mixed.combined[row * this.#vocab + token]!;
        gone += Math.exp(value * inverse - z);
        this.#push(token, adjusted(value, mixed.logZ[row]!, adjustment) * inverse - z);
      }
      this.#sort(0);
    }
    this.#rest = this.#bound === -Infinity ? 0 : Math.max(0, 1 - known - gone);
    if (this.#bound > -Infinity && 1 - gone < CANCELLATION) this.#rest = NaN; // undecidable from here
  }

  /** Applies top-k, top-p and min-p. Returns the mass left, or null if tokens outside the candidates could matter. */
  #truncate(s: Sampling): number | null {
    if (Number.isNaN(this.#rest)) return null;
    const [values, bound] = [this.#values, this.#bound];
    const best = values[0]!;
    if (best < bound || (best === bound && this.#rest > 0)) return null;
    if (s.temperature === 0) return 1;
    if (s.topK > 0 && s.topK < this.#count + (this.#rest > 0 ? this.#vocab : 0)) {
      if (s.topK > this.#count) return null;
      const kth = values[s.topK - 1]!;
      if (bound > -Infinity && kth <= bound) return null;
      let n = s.topK;
      while (n < this.#count && values[n] === kth) n++;
      this.#keep(n);
    }
    let mass = this.#rest;
    for (let i = 0; i < this.#count; i++) mass += Math.exp(values[i]!);
    if (s.topP < 1) {
      const n = this.#nucleus(s.topP * mass);
      if (this.#rest > 0 && (n === this.#count || values[n - 1]! <= bound)) return null;
      mass = this.#keep(n);
    }
    if (s.minP > 0) {
      const least = best + Math.log(s.minP);
      if (this.#rest > 0 && least <= bound) return null;
      let n = 1;
      while (n < this.#count && values[n]! >= least) n++;
      mass = this.#keep(n);
    }
    return mass;
  }

  /** How many candidates it takes to hold `mass`; at least the likeliest one. */
  #nucleus(mass: number): number {
    let [n, before] = [1, Math.exp(this.#values[0]!)];
    while (n < this.#count && before < mass) before += Math.exp(this.#values[n++]!);
    return n;
  }

  #keep(n: number): number {
    [this.#count, this.#rest] = [n, 0];
    let mass = 0;
    for (let i = 0; i < n; i++) mass += Math.exp(this.#values[i]!);
    return mass;
  }

  #push(token: Token, value: number): void {
    this.#tokens[this.#count] = token;
    this.#values[this.#count++] = value;
  }

  /** From the likeliest down, the lowest id first on ties. @param start those before it are in order, and likelier */
  #sort(start: number): void {
    const [tokens, values, order] = [this.#tokens, this.#values, this.#order];
    const before = {
      tokens: tokens.slice(start, this.#count),
      values: values.slice(start, this.#count),
    };
    order.length = this.#count - start;
    for (let i = 0; i < order.length; i++) order[i] = i;
    order.sort(
      (a, b) => before.values[b]! - before.values[a]! || before.tokens[a]! - before.tokens[b]!,
    );
    order.forEach((from, to) => {
      tokens[start + to] = before.tokens[from]!;
      values[start + to] = before.values[from]!;
    });
  }

  /** Rounding may leave a sliver of u over: it belongs to the last token that has any mass. */
  #lastPossible(): Token {
    let i = this.#count - 1;
    while (i > 0 && this.#values[i] === -Infinity) i--;
    return this.#tokens[i]!;
  }
}

/** Greedy draws compare values as they are. */
const inverseOf = ({ temperature }: Sampling): number => (temperature === 0 ? 1 : 1 / temperature);

const normOf = (row: number, mixed: Mixed, { temperature }: Sampling): number =>
  (temperature === 0 || temperature === 1 ? mixed.logZ : mixed.logZTempered)[row]!;

/** Whether tokens are left out of the law. */
export const truncates = (s: Sampling): boolean => s.topK !== 0 || s.topP !== 1 || s.minP !== 0;

/** The draw of an untouched law, whose mass is 1; null if it falls past the likeliest tokens. */
function plain(row: number, mixed: Mixed, temperature: number, u: number): Token | null {
  const { k, topValues, topTokens } = mixed;
  if (temperature === 0) return topTokens[2 * row * k]!;
  const z = (temperature === 1 ? mixed.logZ : mixed.logZTempered)[row]!;
  for (let i = row * k; i < row * k + k; i++) {
    u -= Math.exp(topValues[i]! / temperature - z);
    if (u < 0) return topTokens[2 * i]!;
  }
  return null;
}
