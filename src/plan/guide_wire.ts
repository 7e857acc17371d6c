/** The wire of guides: the forms that a member of `alignment.guides` may have, but for rules. */

import { z } from 'zod';
import { integer, number, perLimits, strict, text } from '../core/fields.ts';
import type { Limits } from './catalog.ts';
import { ownPrompt, transformSchema } from './wire.ts';

type Mask = 'all' | { readonly entropy_above: number } | null | undefined;

/** Nats that the policy's entropy must exceed; null: guided everywhere. */
export const guideMask = (mask: Mask): number | null =>
  mask && mask !== 'all' ? mask.entropy_above : null;

const guideParts = (limits: Limits) => ({
  weight: number(-limits.weight, limits.weight).default(1),
  mask: z
    .union([z.literal('all'), strict({ entropy_above: number(0, 100) })], {
      error: '"all" or {"entropy_above": nats}',
    })
    .nullish(),
});

/** log q(v) of one model. */
export const modelGuideSchema = perLimits((limits: Limits) =>
  strict({ model: text(256, 1), prompt: ownPrompt, ...guideParts(limits) }),
);

/** log plus(v) - log minus(v). */
export const ratioGuideSchema = perLimits((limits: Limits) =>
  strict({
    plus: text(256, 1),
    minus: text(256, 1),
    plus_prompt: ownPrompt,
    minus_prompt: ownPrompt,
    ...guideParts(limits),
  }),
);

/** weight * V(answer and token), on the likeliest tokens. */
export const valueGuideSchema = perLimits((limits: Limits) =>
  strict({
    value: text(256, 1),
    top_k: integer(1, 64).nullish(),
    transform: transformSchema.nullish(),
    ...guideParts(limits),
  }),
);
