/**
 * Where scoring waits: one run an event-loop turn, first come first served. Decoding does one iteration a turn,
 * so runs and iterations alternate and a large batch of candidates holds up nobody's next token for long.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(work: () => T): Promise<T> {
    const mine = this.#last.then(turn).then(work);
    this.#last = mine.catch(() => undefined); // whoever asked for it hears of it
    return mine;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
