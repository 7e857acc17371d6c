/**
 * What a steering vector is made of (EAST, METHODS.md 8): activations h_i of decision tokens, each with the entropy e_i of
 * what was decided there. v = sum_i e_i h_i / sum_i e_i; where it was certain what to say, little is learned.
 */

export class Activations {
  readonly #weighted: Float64Array;
  readonly #plain: Float64Array;
  #entropy = 0;
  /** Decision tokens. */
  count = 0;

  constructor(width: number) {
    this.#weighted = new Float64Array(width);
    this.#plain = new Float64Array(width);
  }

  /** @param state [width] @param entropy in nats, not negative */
  add(state: ArrayLike<number>, entropy: number): void {
    for (let i = 0; i < this.#plain.length; i++) {
      this.#weighted[i]! += entropy * state[i]!;
      this.#plain[i]! += state[i]!;
    }
    this.#entropy += entropy;
    this.count++;
  }

  /** Mean entropy of the decisions, in nats. */
  get entropy(): number {
    return this.#entropy / this.count;
  }

  /** Throws an Error where nothing was ever decided. */
  get mean(): Float64Array {
    if (!(this.#entropy > 0))
      throw new Error(
        `the entropies of ${this.count} decision tokens add up to ${this.#entropy}; a mean by entropy needs some that were uncertain`,
      );
    return this.#weighted.map((sum) => sum / this.#entropy);
  }

  /** What the uncertain decisions have that decisions do not have anyway: `mean` less the plain mean. */
  get difference(): Float64Array {
    return this.mean.map((value, i) => value - this.#plain[i]! / this.count);
  }
}
