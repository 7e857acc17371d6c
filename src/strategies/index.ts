/** The table of names. A new strategy is a file beside this one and a line here. */

import type { Strategy } from '../core/strategy.ts';
import { bestOfN } from './best_of_n.ts';
import { sample } from './sample.ts';

/** Parameters are checked by each strategy's own `parse`; the table forgets their type. */
export const strategies: Readonly<Record<string, Strategy<unknown>>> = {
  sample,
  best_of_n: bestOfN,
};
