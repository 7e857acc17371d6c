/** Turns in which nothing is ever decoded beside: runs are as long as they may be. */

import { Turns } from '../../src/rewards/turns.ts';

export const idleTurns = (): Turns => new Turns({ share: 1, now: () => 0 });
