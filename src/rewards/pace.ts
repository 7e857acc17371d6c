/**
 * How many tokens a model reads in its turn: as many as its last runs say it can in the time it has. Time only decides
 * how texts are cut into runs, and what a text scores does not depend on that.
 */

import type { Turns } from './turns.ts';

/** A chunk of fewer would be a step, which has other last bits. */
const LEAST = 2;
/** Of what a run tells beside those before it. */
const NEWS = 1 / 8;

export class Pace {
  readonly #turns: Turns;
  readonly #most: number;
  /** 0: unknown. */
  #msPerToken = 0;

  /** @param most tokens of a run */
  constructor(turns: Turns, most: number) {
    [this.#turns, this.#most] = [turns, most];
  }

  /** @param work told how many tokens it should read, at least two; returns how many it did */
  run(work: (tokens: number) => number): Promise<void> {
    return this.#turns.run((ms) => {
      const began = this.#turns.now();
      const read = work(this.#tokensOf(ms));
      if (read > 0) this.#learn((this.#turns.now() - began) / read);
    });
  }

  #tokensOf(ms: number): number {
    if (ms === Infinity) return this.#most;
    if (this.#msPerToken === 0) return LEAST;
    return Math.max(LEAST, Math.min(this.#most, Math.floor(ms / this.#msPerToken)));
  }

  /** The processor may have been somebody else's for a while: no run says that all will take more than twice as long. */
  #learn(msPerToken: number): void {
    const before = this.#msPerToken;
    if (before === 0) this.#msPerToken = msPerToken;
    else this.#msPerToken += NEWS * (Math.min(msPerToken, 2 * before) - before);
  }
}
