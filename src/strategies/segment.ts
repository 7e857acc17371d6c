/** A segment is a run of tokens between two decisions: so many, up to a delimiter, or up to a token the policy is unsure of. */

import { z } from 'zod';
import { either, integer, list, number, strict, text } from '../core/fields.ts';
import type { Reach } from '../core/tree.ts';

const MOST = 4096;
const max_tokens = either(integer(1, MOST), 64);

const entropyFields = strict({
  entropy: number(0, 100),
  min_tokens: either(integer(1, MOST), 1),
  max_tokens,
}).refine((fields) => fields.min_tokens <= fields.max_tokens, {
  message: 'at most max_tokens',
  path: ['min_tokens'],
});

const forms = [
  strict({ tokens: integer(1, MOST) }),
  strict({ until: list(text(64, 1), 16, 1), max_tokens }),
  entropyFields,
] as const;

/** Wire form to what `extend` takes. */
export const segmentField = z
  .union(forms, {
    error:
      '{"tokens": n}, {"until": [delimiters], "max_tokens": n} or {"entropy": nats, "min_tokens": n, "max_tokens": n}',
  })
  .transform((wire): Reach => {
    if ('tokens' in wire) return { tokens: wire.tokens };
    if ('until' in wire) return { tokens: wire.max_tokens, until: { text: wire.until } };
    const { entropy, min_tokens: least } = wire;
    return { tokens: wire.max_tokens, until: { entropy, least } };
  });
