/** How many threads ONNX Runtime gets. They wait busily for one another, so one too many costs more than one too few. */

import { availableParallelism } from 'node:os';
import { placeOf } from './devices.ts';
import type { Config } from './ops/config.ts';
import { graphBytes } from './ops/manifest.ts';
import { describeModel } from './model_folder.ts';

/**
 * A step reads all weights once: of less than this, a second thread waits for the first more than it works, and takes the
 * core that the HTTP process would run on. Measured at 4 and 18 MB (docs/performance.md).
 */
const BYTES_A_THREAD = 8 * 2 ** 20;

/** Of a config: what it says, or one for each 8 MB of its largest model that the CPU runs, and no more than there are cores. */
export function threadsOf({ engine, models }: Config, cores = availableParallelism()): number {
  if (engine.threads > 0) return engine.threads;
  const bytes = Object.values(models)
    .filter((entry) => placeOf(entry) === 'cpu')
    .map((entry) => graphBytes(describeModel(entry)));
  return Math.min(cores, Math.max(1, Math.ceil(Math.max(0, ...bytes) / BYTES_A_THREAD)));
}
