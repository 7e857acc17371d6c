/** Whether anybody still waits for what is asked. */

interface Waiter {
  readonly signal: AbortSignal | undefined;
  readonly reject: (error: unknown) => void;
}

/** Tells one whose signal has aborted. */
export function isWanted({ signal, reject }: Waiter): boolean {
  if (signal?.aborted === true) reject(signal.reason);
  return signal?.aborted !== true;
}

/** Aborts once each of the waiters' signals has: never, where one has none. */
export function allOf(waiters: readonly Pick<Waiter, 'signal'>[]): AbortSignal {
  const over = new AbortController();
  let waiting = waiters.length;
  for (const { signal } of waiters)
    signal?.addEventListener('abort', () => --waiting === 0 && over.abort(signal.reason), {
      once: true,
    });
  return over.signal;
}
