/**
 * Activation steering (EAST, METHODS.md 8): h <- h + sum_i scale_i * v_i where states leave one layer of the policy. It
 * is what a row reads with: its KV, and whoever takes that over, are of one steering.
 */

import type { Opening, SteeringUse } from '../core/engine.ts';
import type { Steering } from '../core/model.ts';

/** Vectors by name, [hidden] each. */
export type Vectors = ReadonlyMap<string, Float32Array>;

/** The sum of what is asked for; null: nothing is. */
export function steeringOf(uses: readonly SteeringUse[], vectors: Vectors): Steering {
  if (uses.length === 0) return null;
  const sum = new Float64Array(vectors.get(uses[0]!.vector)!.length);
  for (const { vector, scale } of uses) {
    const values = vectors.get(vector)!;
    for (let i = 0; i < sum.length; i++) sum[i]! += scale * values[i]!;
  }
  return Float32Array.from(sum);
}

/** The space that a lane's prompt is cached in: of one model, one salt and one steering. */
export function spaceOf({ lanes, steering, salt }: Opening, lane: number): string {
  const space = `${lanes[lane]!.model}/${salt}`;
  if (lane > 0 || steering.length === 0) return space;
  return `${space}/${JSON.stringify(steering.map(({ vector, scale }) => [vector, scale]))}`;
}
