/** JSON lines on standard error: one per request, with its id and figures. Never answers or keys, and prompts only where the config says so. */

import { destination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What a log that is not read, or cannot be written, may hold; further lines are dropped. */
const MOST_BYTES = 4 * 2 ** 20;

/**
 * Written in the background: neither a reader that stops nor a full disk may stop the server. What could not be written
 * is tried again with the next line, but not at the end of the process: there sonic-boom would try for ever.
 */
function backgroundStderr(): DestinationStream {
  const stderr = destination({ dest: 2, sync: false, maxLength: MOST_BYTES });
  const flush = stderr.flushSync.bind(stderr);
  stderr.on('error', () => (stderr.flushSync = () => undefined));
  stderr.on('write', () => (stderr.flushSync = flush));
  return stderr;
}

export function createLog(level: LogLevel, to = backgroundStderr()): Logger {
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
