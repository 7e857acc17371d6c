/** The built server under the default config, which remembers all of a table's scores, or nothing. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { serve, type Served } from '../support/server.ts';

const FOLDER = new URL('../../config', import.meta.url).pathname;

interface ConfigFile {
  readonly models: Readonly<Record<string, { readonly path: string }>>;
  readonly engine: object;
}

/** Rows of a table judge the same texts: what they read is then not what they would read alone. */
const MEMORY = {
  all: { reward_bytes: '256MB', reward_kv_bytes: '512MB' },
  nothing: { reward_bytes: 0, prefix_bytes: 0, reward_kv_bytes: '512MB' },
};

export interface Changes {
  /** Scores and prompts that were read before: all of them, or nothing, so that each request counts all that it costs. */
  readonly memory: keyof typeof MEMORY;
  /** Entries of `models` beside the default ones, with absolute paths. */
  readonly models?: ConfigFile['models'];
  readonly limits?: object;
}

/** @param changes to the default config */
export async function served({ memory, models = {}, limits = {} }: Changes): Promise<Served> {
  const config = parse(readFileSync(join(FOLDER, 'default.yaml'), 'utf8')) as ConfigFile;
  const all = { ...config.models, ...models };
  // Left to wait: a reward that is late would be left out of its ensemble, and the table would not say so.
  const patient = Object.entries(all).map(([name, entry]) => [
    name,
    { ...entry, path: resolve(FOLDER, entry.path), timeout_ms: 3_600_000 },
  ]);
  const engine = { ...config.engine, ...MEMORY[memory] };
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-evaluate-'));
  const file = join(folder, 'config.yaml');
  const whole = { ...config, models: Object.fromEntries(patient), engine, limits };
  writeFileSync(file, stringify(whole));
  try {
    return await serve(['--config', file]);
  } finally {
    rmSync(folder, { recursive: true }); // it was read
  }
}
