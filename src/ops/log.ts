/** JSON lines on standard error: one per request, with its id and figures. Never prompts, answers or keys. */

import { destination, pino } from 'pino';
import type { Logger } from 'pino';

export type { Logger };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Writes in the background: a reader that stops must not stop the server. */
export function createLog(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ dest: 2, sync: false }),
  );
}
