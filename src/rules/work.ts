/**
 * What compiling one rule may still cost, in steps of about ten nanoseconds. Requests are parsed where all sockets are
 * served, so the whole has to be short; steps are counted and no clock is read, so that a rule is always served or never.
 */

/** A fiftieth of a second or so, whatever the rule. */
const MOST_STEPS = 2_000_000;

/** A rule that is larger than this server compiles; the message completes "the rule ...". */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

export class Work {
  #left: number;

  constructor(steps = MOST_STEPS) {
    this.#left = steps;
  }

  get left(): number {
    return this.#left;
  }

  /** @throws TooLarge */
  spend(steps: number): void {
    if ((this.#left -= steps) < 0) throw new TooLarge('takes too much work to compile');
  }
}
