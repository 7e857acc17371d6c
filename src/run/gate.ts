/** Where a request waits while its reader is behind. */

export class Gate {
  #opened: Promise<void> | null = null;
  #open: () => void = () => undefined;

  close(): void {
    this.#opened ??= new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
    this.#opened = null;
  }

  /** Resolves once the gate is open; null if it is. Rejects with the signal's reason. */
  pass(signal: AbortSignal): Promise<void> | null {
    const opened = this.#opened;
    if (opened === null) return null;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      void opened.then(() => {
        signal.removeEventListener('abort', abort);
        resolve();
      });
    });
  }
}
