/**
 * The law of a row under a rule: what the rule refuses has no probability, what is left is normalised. Tokens are
 * also refused where the answer could not be ended within its limit any more: pi(v) = 0 unless the tokens that
 * suffice after v, and an end token, still fit. So an answer whose limit has room for its shortest text ends well.
 * Where a request leaves out what is implausible, that is said among the tokens that are left.
 */

import type { Mixed, Reals } from '../core/model.ts';
import type { RuleState } from '../core/rule.ts';
import type { Token } from '../core/tree.ts';
import type { Job } from './job.ts';

const TOP = 64;

/** A law over one row: row 0 of `mixed` and of each lane. */
interface RuledRow {
  readonly mixed: Mixed;
  readonly lanes: readonly Reals[];
}

export class RuledLaw {
  readonly #vocab: number;
  readonly #combined: Float64Array;
  readonly #values = new Float64Array(TOP);
  readonly #tokens = new Int32Array(2 * TOP);
  /** The allowed tokens of the row at hand. */
  readonly #allowed: Int32Array;
  #count = 0;

  constructor(vocab: number) {
    this.#vocab = vocab;
    this.#combined = new Float64Array(vocab);
    this.#allowed = new Int32Array(vocab);
  }

  /** What the rule of the job's branch leaves of row `i`. Valid until the next call. */
  row(job: Job, rule: RuleState, mixed: Mixed, i: number, lanes: readonly Reals[]): RuledRow {
    const { limit } = job.tree;
    this.#allow(rule, limit.maxTokens - job.branch.tokens.length, limit.ends);
    const rows = lanes.map((lane, k) => {
      const width = job.law.widths[k]!;
      return lane.subarray(i * width, (i + 1) * width);
    });
    this.#leaveOut(rows[0]!, job.law.guidance.plausibility);
    const row = mixed.combined.subarray(i * this.#vocab, (i + 1) * this.#vocab);
    const most = this.#keep(row);
    const { temperature } = job.sampling;
    const logZ = this.#logSumExp(most, 1);
    return {
      mixed: {
        combined: this.#combined,
        vocab: this.#vocab,
        k: this.#best(),
        topValues: this.#values,
        topTokens: this.#tokens,
        logZ: Float64Array.of(logZ),
        logZTempered: Float64Array.of(
          temperature === 0 || temperature === 1 ? logZ : this.#logSumExp(most, 1 / temperature),
        ),
        norms: mixed.norms.map((norm) => norm.subarray(i, i + 1)),
        kl: Float64Array.of(this.#kl(logZ, rows, mixed.norms[0]![i]!)),
        entropy: mixed.entropy.subarray(i, i + 1),
      },
      lanes: rows,
    };
  }

  /** @param room tokens that the answer may still have, the next one included */
  #allow(rule: RuleState, room: number, ends: ReadonlySet<Token>): void {
    const { tokens, distances } = rule.next;
    // One token for v itself and one to end with; where that is not to be had, the shortest way on.
    const most = Math.max(room - 2, rule.distance - 1);
    this.#count = 0;
    if (rule.distance === 0) for (const end of ends) this.#allowed[this.#count++] = end;
    for (let j = 0; j < tokens.length; j++)
      if (distances[j]! <= most) this.#allowed[this.#count++] = tokens[j]!;
    if (rule.distance === 0) this.#allowed.subarray(0, this.#count).sort(); // end ids may lie anywhere
  }

  /** Of the allowed tokens, those that the policy finds less likely than this share of their likeliest. */
  #leaveOut(logits: Reals, share: number): void {
    if (share === 0) return;
    let most = -Infinity;
    for (let j = 0; j < this.#count; j++) most = Math.max(most, logits[this.#allowed[j]!]!);
    const least = most + Math.log(share);
    let left = 0;
    for (let j = 0; j < this.#count; j++) {
      const token = this.#allowed[j]!;
      if (!(logits[token]! < least)) this.#allowed[left++] = token;
    }
    this.#count = left;
  }

  /** Copies what is allowed; returns the largest value. */
  #keep(row: Reals): number {
    this.#combined.fill(-Infinity);
    let most = -Infinity;
    for (let j = 0; j < this.#count; j++) {
      const token = this.#allowed[j]!;
      const value = (this.#combined[token] = row[token]!);
      if (value > most) most = value;
    }
    return most;
  }

  #logSumExp(most: number, inverse: number): number {
    let sum = 0;
    for (let j = 0; j < this.#count; j++)
      sum += Math.exp((this.#combined[this.#allowed[j]!]! - most) * inverse);
    return most * inverse + Math.log(sum);
  }

  /** The largest values, best first, the lowest id on ties. Returns how many. */
  #best(): number {
    const [values, tokens] = [this.#values, this.#tokens];
    let k = 0;
    for (let j = 0; j < this.#count; j++) {
      const token = this.#allowed[j]!;
      const value = this.#combined[token]!;
      if (k === TOP && value <= values[TOP - 1]!) continue;
      let at = k < TOP ? k++ : TOP - 1;
      for (; at > 0 && values[at - 1]! < value; at--) {
        values[at] = values[at - 1]!;
        tokens[2 * at] = tokens[2 * at - 2]!;
      }
      values[at] = value;
      tokens[2 * at] = token;
    }
    return k;
  }

  /** KL(pi || p) in nats, p being the policy's whole law; -logZ where nothing guides. */
  #kl(logZ: number, rows: readonly Reals[], norm: number): number {
    if (rows.length === 1) return Math.max(0, -logZ);
    let kl = 0;
    for (let j = 0; j < this.#count; j++) {
      const token = this.#allowed[j]!;
      const logPi = this.#combined[token]! - logZ;
      if (logPi > -Infinity) kl += Math.exp(logPi) * (logPi - (rows[0]![token]! - norm));
    }
    return kl;
  }
}
