/** JSON lines on standard error: one per request, with its id and figures. Never answers or keys, and prompts only where the config says so. */

import { destination, pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type { Logger };

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Written in the background: a reader that stops must not stop the server. */
const backgroundStderr = (): DestinationStream => destination({ dest: 2, sync: false });

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
