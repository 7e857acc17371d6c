/**
 * Turns of an engine that writes for rewards. An iteration cannot be cut to the time that scoring has beside decoding:
 * each is paid for afterwards, by turns that are left to others until their shares come to what it took.
 */

import type { Turns } from './turns.ts';

/** Tokens of prompts that an iteration reads beside decoding. */
const FEW = 8;

export class Savings {
  readonly #turns: Turns;
  /** Milliseconds. */
  #owed = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Waits for the next iteration's turn. Resolves to the tokens of prompts that it may read. */
  async turn(): Promise<number> {
    for (;;) {
      const ms = await this.#turns.run((mine) => mine);
      if (ms === Infinity) return Infinity; // nobody waits for an iteration: nothing is owed
      this.#owed -= ms;
      if (this.#owed <= 0) return FEW;
    }
  }

  /** An iteration has taken so many milliseconds. */
  took(ms: number): void {
    this.#owed = ms;
  }
}
