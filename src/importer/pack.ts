/** Writes a model folder: all of it or nothing, with a manifest that names every file's size and SHA-256. */

import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export type Role = 'policy' | 'guide' | 'reward' | 'value';

/** What a server needs to know about a model and a request should not have to say. */
export interface Manifest {
  readonly format: 1;
  /** The folder's name. */
  readonly name: string;
  readonly role: Role;
  /** A model that ends in one number; others have a vocabulary projection. */
  readonly head?: 'scalar';
  /** Rewards and value models: whether scores of unfinished answers mean something. */
  readonly reads?: 'prefix' | 'complete';
  /** Each text is read whole: its head sums over the text, and KV does not hold the sums. */
  readonly whole?: true;
  readonly weights: 'float32' | 'float16' | 'int8-block32' | 'int4-block32';
  /** Inputs and outputs of the graph, where they are not our own. */
  readonly layout?: 'genai' | 'encoder';
  /** Of graphs with the input `steering`: after how many layers it is added, and the width of the states there. */
  readonly steering?: { readonly layer: number; readonly width: number };
  /** Sizes of the graph; an encoder keeps no KV, its heads are those of its attention. */
  readonly shape: {
    readonly layers: number;
    readonly kvHeads: number;
    readonly headDim: number;
    /** Logits per position. */
    readonly vocab: number;
    /** Longest sequence, in tokens. */
    readonly context: number;
    /** Width of the states of each layer, told behind the logits; left out: they are not told. */
    readonly states?: number;
  };
  /** Unix seconds. */
  readonly created: number;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  /** Measured on the checkpoint: statistics and metrics, as the training wrote them. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The bytes of a file, at hand or made as it is written. */
export type Content = Uint8Array | Iterable<Uint8Array>;

const MANIFEST = 'manifest.json';

/**
 * Throws if `to` is taken: any folder without `force`, with it one that is no model folder and so not ours to replace.
 */
export function checkTarget(to: string, force: boolean): void {
  const target = resolve(to);
  if (!existsSync(target)) return;
  if (!existsSync(join(target, MANIFEST)))
    throw new Error(`${to} exists and is no model folder; choose another --out`);
  if (!force) throw new Error(`${to} exists; choose another --out, or replace it with --force`);
}

/**
 * Writes `files` and their manifest as the folder `to`; see `checkTarget`. Yields the bytes written so far, now and
 * then: whoever returns early leaves nothing behind.
 */
export function* writePack(
  to: string,
  files: Readonly<Record<string, Content>>,
  described: Omit<Manifest, 'format' | 'name' | 'files'>,
  force = false,
): Generator<number, Manifest> {
  const target = resolve(to);
  checkTarget(to, force);
  mkdirSync(dirname(target), { recursive: true });
  sweep(target);
  const fresh = `${target}.new-${process.pid}`;
  mkdirSync(fresh);
  try {
    const listed: Record<string, Manifest['files'][string]> = {};
    let written = 0;
    for (const [name, content] of Object.entries(files)) {
      const entry = yield* writeContent(join(fresh, name), content, written);
      listed[name] = entry;
      written += entry.bytes;
    }
    const { facts, ...rest } = described;
    const name = basename(target);
    const manifest: Manifest = { format: 1, name, ...rest, files: listed, facts };
    writeFileSync(join(fresh, MANIFEST), JSON.stringify(manifest, null, 2) + '\n');
    replace(target, fresh);
    return manifest;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function* writeContent(
  path: string,
  content: Content,
  before: number,
): Generator<number, Manifest['files'][string]> {
  const hash = createHash('sha256');
  const file = openSync(path, 'wx');
  let bytes = 0;
  try {
    for (const piece of content instanceof Uint8Array ? [content] : content) {
      hash.update(piece);
      for (let done = 0; done < piece.length;) done += writeSync(file, piece, done);
      bytes += piece.length;
      yield before + bytes;
    }
  } finally {
    closeSync(file);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Removes what an import that was killed has left beside the target. */
function sweep(target: string): void {
  for (const name of readdirSync(dirname(target))) {
    const [, pid] = /^\.new-(\d+)$/.exec(name.slice(basename(target).length)) ?? [];
    if (pid !== undefined && name.startsWith(basename(target)) && !isRunning(Number(pid)))
      rmSync(join(dirname(target), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

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
