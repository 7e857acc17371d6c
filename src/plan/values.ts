/** {"value": NAME, "weight", "top_k"}: value guides of a request made valid (controlled decoding, FUDGE, ARGS). */

import { ServeError } from '../core/errors.ts';
import { check, wrong } from '../core/fields.ts';
import type { Catalog } from './catalog.ts';
import { guideMask, valueGuideSchema } from './guide_wire.ts';
import type { ValueUse } from './plan.ts';
import { relativeScale } from './relative.ts';
import { scaleOf, transformOf } from './scale.ts';
import { modelSource } from './sources/model.ts';
import type { ReadingSpec } from './sources/source.ts';

export interface ValueGuide {
  readonly use: ValueUse;
  readonly readings: readonly ReadingSpec[];
}

/** The likeliest tokens that a value guide considers where the request does not say. */
const TOP_K = 20;

/** Null for a weight of zero: no model is run for it. */
export function parseValueGuide(raw: unknown, at: string, catalog: Catalog): ValueGuide | null {
  const wire = check(valueGuideSchema(catalog.limits), raw, at);
  const spec = modelSource(wire.value, `${at}.value`, catalog);
  if (spec.reads !== 'prefix')
    throw new ServeError(
      'reward_mismatch',
      `${at}.value: ${spec.name} reads complete answers only, and a value guide judges unfinished ones`,
      `${at}.value`,
    );
  if (wire.weight === 0) return null;
  const { transform } = wire;
  const use = {
    id: spec.name,
    source: spec.source,
    steps: null,
    weight: 1,
    cap: null,
    scale: scaleOf(transform, null, spec, at),
    transform: transform ? transformOf(transform, spec, at) : null,
  };
  if (relativeScale(use) !== null)
    throw wrong(
      `${at}.transform`,
      transform,
      'one with a number or a stored figure: a token has no pool to be compared with',
    );
  return {
    use: {
      reward: { uses: [use], ensemble: null, lagrange: null, constraints: [], length: null },
      weight: wire.weight,
      topK: wire.top_k ?? TOP_K,
      entropyAbove: guideMask(wire.mask),
    },
    readings: spec.readings,
  };
}
