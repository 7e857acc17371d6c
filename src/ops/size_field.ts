/** Numbers of bytes, as a config spells them. */

import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };
const SIZE = 'a number of bytes, or one with a unit (1024 based) such as 64MB or 1GB';

/** In bytes. */
export const size = z
  .union([z.int().min(0, SIZE), z.string()], { error: SIZE })
  .transform((raw, context) => {
    if (typeof raw === 'number') return raw;
    const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(B|KB|MB|GB)$/.exec(raw) ?? [];
    if (amount !== undefined && unit !== undefined)
      return Math.floor(Number(amount) * (UNITS[unit] ?? 1));
    context.addIssue({ code: 'custom', message: SIZE, input: raw });
    return z.NEVER;
  })
  .meta({ format: 'bytes' });
