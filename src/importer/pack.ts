/** Writes a model folder: all of it or nothing, with a manifest that names every file's size and SHA-256. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export type Role = 'policy' | 'guide' | 'reward';

/** What a server needs to know about a model and a request should not have to say. */
export interface Manifest {
  readonly format: 1;
  /** The folder's name. */
  readonly name: string;
  readonly role: Role;
  /** A reward with a scalar head; other models have a vocabulary projection. */
  readonly head?: 'scalar';
  /** Rewards: whether scores of unfinished answers mean something. */
  readonly reads?: 'prefix' | 'complete';
  readonly weights: 'float32' | 'int8-block32';
  /** Inputs and outputs of the graph, where they are not our own. */
  readonly layout?: 'genai';
  /** Unix seconds. */
  readonly created: number;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  /** Measured on the checkpoint: statistics and metrics, as the training wrote them. */
  readonly facts: Readonly<Record<string, unknown>>;
}

const MANIFEST = 'manifest.json';

/**
 * Writes `files` and their manifest as the folder `to`. A model folder that stands there is replaced;
 * a folder without a manifest is not ours to replace: throws.
 */
export function writePack(
  to: string,
  files: Readonly<Record<string, Uint8Array>>,
  described: Omit<Manifest, 'format' | 'name' | 'files'>,
): Manifest {
  const target = resolve(to);
  if (existsSync(target) && !existsSync(join(target, MANIFEST)))
    throw new Error(`${to} exists and is no model folder; choose another --out`);
  const { facts, ...rest } = described;
  const listed = Object.entries(files).map(([name, bytes]) => [
    name,
    { bytes: bytes.length, sha256: sha256(bytes) },
  ]);
  const manifest: Manifest = {
    format: 1,
    name: basename(target),
    ...rest,
    files: Object.fromEntries(listed),
    facts,
  };
  mkdirSync(dirname(target), { recursive: true });
  const fresh = `${target}.new-${process.pid}`;
  mkdirSync(fresh);
  try {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(fresh, name), bytes);
    writeFileSync(join(fresh, MANIFEST), JSON.stringify(manifest, null, 2) + '\n');
    replace(target, fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return manifest;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function replace(target: string, fresh: string): void {
  if (!existsSync(target)) return renameSync(fresh, target);
  const old = `${fresh}.old`;
  renameSync(target, old);
  try {
    renameSync(fresh, target);
  } catch (error) {
    renameSync(old, target);
    throw error;
  }
  rmSync(old, { recursive: true });
}
