/**
 * Where scoring waits: one run an event-loop turn, first come first served. Decoding does one iteration a turn, so runs
 * and iterations alternate; beside decoding a run is to add but a share of an iteration's time.
 */
export class Turns {
  /** Milliseconds since some moment. */
  readonly now: () => number;
  readonly #share: number;
  #last: Promise<unknown> = Promise.resolve();
  /** Milliseconds of the last iteration since the last run; null: nothing was decoded. */
  #decoded: number | null = null;

  constructor({ share, now }: { readonly share: number; readonly now: () => number }) {
    [this.#share, this.now] = [share, now];
  }

  /** @param work told how many milliseconds it may take; Infinity: nobody waits for an iteration */
  run<T>(work: (ms: number) => T): Promise<T> {
    const mine = this.#last.then(turn).then(() => {
      const ms = this.#decoded === null ? Infinity : this.#share * this.#decoded;
      this.#decoded = null;
      return work(ms);
    });
    this.#last = mine.catch(() => undefined); // whoever asked for it hears of it
    return mine;
  }

  /** What `work` makes of each item, in order; of as many a turn as its time allows. */
  async each<T, U>(
    items: readonly T[],
    work: (item: T) => U,
    signal?: AbortSignal,
  ): Promise<readonly U[]> {
    const made: U[] = [];
    while (made.length < items.length)
      await this.run((ms) => {
        signal?.throwIfAborted();
        const until = this.now() + Math.min(ms, LONGEST);
        do made.push(work(items[made.length]!));
        while (made.length < items.length && this.now() < until);
      });
    return made;
  }

  /** An iteration has taken so many milliseconds. */
  decoded(ms: number): void {
    this.#decoded = ms;
  }
}

/** Milliseconds of a turn beside nothing: somebody may come. */
const LONGEST = 5;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
