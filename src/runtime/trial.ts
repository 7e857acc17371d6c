/** A model is tried once before it serves, so that what does not run is refused when the server starts, by name. */

/**
 * Closes the session where the trial throws.
 * @param wrong what the model turns out to be then: the beginning of the message
 * @throws Error that begins with `wrong` and goes on with the reason
 */
export function tryOut(session: Disposable, wrong: string, trial: () => void): void {
  try {
    trial();
  } catch (error) {
    session[Symbol.dispose]();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${wrong}: ${reason}`, { cause: error });
  }
}

/** The trial of what scores texts. */
export function expectScore(score: number | undefined): void {
  if (!Number.isFinite(score)) throw new Error('its score is not a number');
}
