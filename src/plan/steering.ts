/** `alignment.steering`: vectors that are added to the policy's states, each so many times. */

import type { SteeringUse } from '../core/engine.ts';
import { ServeError } from '../core/errors.ts';
import { list, number, perLimits, show, strict, text } from '../core/fields.ts';
import type { z } from 'zod';
import { vectorsOf } from './catalog.ts';
import type { Catalog, Limits, ModelCard } from './catalog.ts';

const AT = 'alignment.steering';

export const steeringSchema = perLimits((limits: Limits) =>
  list(
    strict({
      vector: text(256, 1),
      scale: number(-limits.vectorScale, limits.vectorScale).default(1),
    }),
    limits.vectors,
  ),
);

type SteeringWire = z.output<ReturnType<typeof steeringSchema>>;

/**
 * Each vector once, by name: how a request spells a sum must not show. What comes to 0 is left out.
 * @throws ServeError for the first vector that is not the policy's, with those that are
 */
export function steeringOf(
  wire: SteeringWire,
  catalog: Catalog,
  policy: ModelCard,
): readonly SteeringUse[] {
  const scales = new Map<string, number>();
  wire.forEach(({ vector, scale }, i) => {
    refuseOthers(vector, `${AT}[${i}].vector`, catalog, policy);
    scales.set(vector, (scales.get(vector) ?? 0) + scale);
  });
  return [...scales]
    .filter(([, scale]) => scale !== 0)
    .map(([vector, scale]) => ({ vector, scale }))
    .toSorted((a, b) => (a.vector < b.vector ? -1 : 1));
}

function refuseOthers(vector: string, at: string, catalog: Catalog, policy: ModelCard): void {
  const known = vectorsOf(catalog, policy);
  if (known.includes(vector)) return;
  const other = catalog.vectors.get(vector);
  const what = other ? `a vector of ${other.model}` : 'not a steering vector of this server';
  const choice =
    known.length > 0
      ? `those of ${policy.name}: ${known.join(', ')}`
      : policy.steerable === true
        ? `${policy.name} has none yet: make one with coxswain steer, and name it in the config under steering`
        : `${policy.name} has no steering input: import its checkpoint with --steering LAYER`;
  throw new ServeError('invalid_value', `${at} is ${show(vector)}, ${what}; ${choice}`, at);
}
