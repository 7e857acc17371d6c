/** Seeded choices: the same seed makes the same storm. */

import { mulberry } from '../support/mulberry.ts';

export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = mulberry(seed);
  }

  /** True with this probability. */
  is(probability: number): boolean {
    return this.#random() < probability;
  }

  /** Uniform in [0, 1). */
  share(): number {
    return this.#random();
  }

  /** An integer from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.#random() * (most - least + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)] as T;
  }
}
