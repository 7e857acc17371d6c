/** The clock, the random source and the names drawn from them. */

import { randomBytes } from 'node:crypto';

export interface Ambient {
  /** Seconds since the epoch. */
  seconds(): number;
  /** Milliseconds, monotonic. */
  ms(): number;
  /** A name no other request has. */
  id(prefix: string): string;
  /** An integer from 0 to 2^53 - 1: JSON carries it exactly. */
  seed(): number;
}

export const ambient: Ambient = {
  seconds: () => Math.floor(Date.now() / 1000),
  ms: () => performance.now(),
  id: (prefix) => prefix + randomBytes(12).toString('hex'),
  seed: () => Number(randomBytes(8).readBigUInt64LE() >> 11n),
};
