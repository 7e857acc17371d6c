/** Who waits for the engine: until each of the jobs of one call has ended, or one of them fails, or the request is aborted. */

/** Whoever waits for the jobs of one call. */
export interface Waiter {
  /** One of them has ended. */
  done(): void;
  /** Ends the wait, and all of the jobs. */
  fail(error: Error): void;
}

interface Waiting {
  readonly signal: AbortSignal;
  /** Told when the signal aborts. */
  readonly waits: Set<Waiter>;
}

/**
 * Resolves once `done` was called for each of `open` jobs; rejects with what one failed with, or what the signal has aborted with.
 * @param forget takes the jobs back @param begin hands them to the engine
 */
export function waitFor(
  { signal, waits }: Waiting,
  open: number,
  forget: () => void,
  begin: (waiter: Waiter) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    if (open === 0) return resolve();
    const waiter: Waiter = {
      done: () => {
        if (--open > 0) return;
        waits.delete(waiter);
        resolve();
      },
      fail: (error) => {
        forget();
        waits.delete(waiter);
        reject(error);
      },
    };
    waits.add(waiter);
    begin(waiter);
  });
}
