/** JSON lines on standard error: one per request, with its id and figures. Never answers or keys, and prompts only where the config says so. */

import { destination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * Written in the background: neither a reader that stops nor a full disk may stop the server. What could not be written
 * is tried again with the next line, but not at the end of the process: there sonic-boom would try for ever.
 * @param maxLength bytes that may wait; further lines are dropped
 */
export function standardError(maxLength: number): DestinationStream {
  const stderr = destination({ dest: 2, sync: false, maxLength });
  const flush = stderr.flushSync.bind(stderr);
  stderr.on('error', () => (stderr.flushSync = () => undefined));
  stderr.on('write', () => (stderr.flushSync = flush));
  return stderr;
}

export function createLog(level: LogLevel, to: DestinationStream = process.stderr): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
}

/** Time in which a last line is written, or is known not to be. */
const LAST_MS = 100;

/** What nobody caught becomes a line as well, and then ends the process: what still holds cannot be known. */
export function endUncaught(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.error({ err: error }, 'uncaught');
    setTimeout(() => process.exit(1), LAST_MS);
  });
}
