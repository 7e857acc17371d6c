/** The config file: read, checked, frozen. */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import { check } from '../core/fields.ts';
import { configSchema } from './config_schema.ts';
import { resolveKeys } from './keys.ts';
import type { Key } from './keys.ts';

/** What the operator got wrong; its message is meant for them, and the server does not start. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

type Checked = z.output<typeof configSchema>;

export type Config = Omit<Checked, 'server'> & {
  readonly server: ServerSettings;
  /** The file it was read from. */
  readonly file: string;
};
export type ServerSettings = Omit<Checked['server'], 'keys'> & {
  readonly keys: Readonly<Record<string, Key>>;
};
export type RemoteEntry = Config['rewards'][string];
export type ModelEntry = Config['models'][string];
export type SteeringEntry = Config['steering'][string];

/** Same place from src/ and from dist/. */
const EMBEDDED = fileURLToPath(new URL('../../config/default.yaml', import.meta.url));

/**
 * Reads a config file; paths of models and steering vectors come back absolute.
 * @param file null for the embedded default
 * @throws ConfigError that names the file and the key
 */
export function readConfig(file: string | null): Config {
  const path = resolve(file ?? EMBEDDED);
  const config = checked(path, parsed(path));
  if (!Object.hasOwn(config.models, config.policy))
    throw new ConfigError(
      `${path}: policy is ${config.policy}, which is not among models: ${Object.keys(config.models).join(', ')}`,
    );
  const models = Object.entries(config.models).map(([name, entry]): [string, ModelEntry] => [
    name,
    { ...entry, path: resolve(dirname(path), entry.path) },
  ]);
  const steering = Object.entries(config.steering).map(([name, entry]): [string, SteeringEntry] => [
    name,
    { ...entry, path: resolve(dirname(path), entry.path) },
  ]);
  const server = { ...config.server, keys: keysOf(path, config) };
  return {
    ...config,
    server,
    models: Object.fromEntries(models),
    steering: Object.fromEntries(steering),
    file: path,
  };
}

function keysOf(path: string, { server, models, presets }: Checked): ServerSettings['keys'] {
  for (const [key, { models: names = [] }] of Object.entries(server.keys)) {
    const unknown = names.find(
      (name) => !Object.hasOwn(models, name) && !Object.hasOwn(presets, name),
    );
    if (unknown !== undefined)
      throw new ConfigError(
        `${path}: server.keys.${key}.models has ${unknown}, which is neither a model nor a preset`,
      );
  }
  try {
    return resolveKeys(server.keys, process.env);
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

function parsed(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

function checked(path: string, raw: unknown): Checked {
  try {
    return check(configSchema, raw ?? {}, '');
  } catch (error) {
    if (error instanceof ServeError) throw new ConfigError(`${path}: ${error.message}`);
    throw error;
  }
}

/** What a file system or parser says, in one line. */
export const reason = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
