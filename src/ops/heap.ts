/** How far the HTTP process's heap may grow between two collections. */

import { setFlagsFromString } from 'node:v8';

/**
 * V8 lets its old space grow up to fourfold before it collects it: of 20 MB that live, a server that answers thousands of
 * short requests makes 80 MB, and keeps them. Measured in docs/evidence.md.
 */
const GROWTH_PERCENT = 50;

/** Called before anything large is allocated. */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
}
