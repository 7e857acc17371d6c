/** API keys as the config has them: by name, hashed; the hash may come from the environment. */

import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { integer, list, strict, text } from '../core/fields.ts';

const HASH = /^[0-9a-f]{64}$/;
const RULE = '64 hexadecimal digits, as `coxswain hash-key` prints them';

/** What was given is not shown: it may be the key itself, by mistake. */
const hash = z.unknown().transform((raw, context) => {
  if (typeof raw === 'string' && HASH.test(raw)) return raw;
  context.addIssue({ code: 'custom', message: RULE, input: '(not shown)' });
  return z.NEVER;
});

export const keySchema = strict({
  sha256: hash
    .optional()
    .describe('Of the key, never the key itself: `coxswain hash-key` prints it.')
    .meta({ type: 'string', pattern: HASH.source }),
  env: text(256, 1).optional().describe('Instead: the environment variable that holds the hash.'),
  models: list(text(256, 1), 1000, 1)
    .optional()
    .describe('Names that requests may give, of models and presets; left out: all.'),
  max_cost: integer(1, 2 ** 31)
    .optional()
    .describe('Most tokens one request may generate, over all branches and choices.'),
  tokens_per_minute: integer(1, 2 ** 40)
    .optional()
    .describe(
      'Tokens of policy and guides, as they are asked for; what was not generated is given back.',
    ),
  concurrency: integer(1, 100_000).optional().describe('Requests at a time.'),
});

type KeyEntry = z.output<typeof keySchema>;
/** With its hash, wherever that came from. */
export type Key = KeyEntry & { readonly sha256: string };

/**
 * The same keys, each with its hash.
 * @throws Error that names the key at fault, and never shows a value
 */
export function resolveKeys(
  keys: Readonly<Record<string, KeyEntry>>,
  environment: NodeJS.ProcessEnv,
): Readonly<Record<string, Key>> {
  const seen = new Map<string, string>();
  const resolved = Object.entries(keys).map(([name, key]) => {
    const sha256 = hashOf(name, key, environment);
    const twin = seen.get(sha256);
    if (twin !== undefined) throw new Error(`server.keys.${name} is the same key as ${twin}`);
    seen.set(sha256, name);
    return [name, { ...key, sha256 }] as const;
  });
  return Object.fromEntries(resolved);
}

function hashOf(name: string, { sha256, env }: KeyEntry, environment: NodeJS.ProcessEnv): string {
  if ((sha256 === undefined) === (env === undefined))
    throw new Error(`server.keys.${name} must have either sha256 or env`);
  if (sha256 !== undefined) return sha256;
  const found = environment[env ?? ''];
  if (found !== undefined && HASH.test(found)) return found;
  const state = found === undefined ? 'is not set' : 'is something else';
  throw new Error(
    `server.keys.${name}: the environment variable ${env} ${state}; it must be ${RULE}`,
  );
}

export const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex');

/** A key that nobody will guess. */
export const newKey = (): string => `cx-${randomBytes(32).toString('base64url')}`;
