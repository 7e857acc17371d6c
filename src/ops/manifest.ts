/** A model's manifest: what its folder holds, with sha256, and what is known about it. Model files are data, inside their folder, and no links. */

import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import { check, integer, oneOf, strict, table, text } from '../core/fields.ts';
import { ConfigError, reason } from './config.ts';

const schema = strict({
  format: z.literal(1, '1, the format this server reads'),
  name: text(256, 1),
  role: oneOf(['policy', 'guide', 'reward', 'value']),
  head: oneOf(['scalar']).optional(),
  reads: oneOf(['prefix', 'complete']).optional(),
  /** Each text is read whole: its head sums over the text, and KV does not hold the sums. */
  whole: z.literal(true, 'true, or left out').optional(),
  /** How the weights are stored, such as q8-block32. */
  weights: text(64, 1),
  /** Inputs and outputs of the graph, where they are not our own. */
  layout: oneOf(['genai', 'encoder']).optional(),
  /** Of graphs with the input `steering`: after how many layers it is added, and the width of the states there. */
  steering: strict({ layer: integer(1, 100_000), width: integer(1, 1_000_000) }).optional(),
  /** Sizes of the graph; older folders leave them to config.json. */
  shape: strict({
    layers: integer(1, 100_000),
    kvHeads: integer(1, 100_000),
    headDim: integer(1, 100_000),
    vocab: integer(1, 100_000_000),
    context: integer(1, 100_000_000),
    /** Width of the states of each layer, told behind the logits; left out: they are not told. */
    states: integer(1, 1_000_000).optional(),
  }).optional(),
  /** Seconds since the epoch. */
  created: integer(0, Number.MAX_SAFE_INTEGER),
  files: table(
    z.string('a string').regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'a plain file name'),
    strict({
      bytes: integer(0, Number.MAX_SAFE_INTEGER),
      sha256: z.string('a string').regex(/^[0-9a-f]{64}$/, '64 hexadecimal digits'),
    }),
    'an object of files by name',
  ),
  /** Measured once, so that requests need not say it: a reward's mean and quantiles, say. */
  facts: table(z.string(), z.unknown(), 'an object'),
});

type Stored = z.output<typeof schema>;

export type Manifest = Omit<Stored, 'files' | 'layout'> & {
  /** Real path of the model's folder. */
  readonly folder: string;
  /** Those that no manifest describes are other tools' exports: KV that grows, or a classifier of texts or of pairs. */
  readonly layout?: Stored['layout'] | 'growing' | 'classifier' | 'pair_classifier';
  /** Of other tools' exports: the graph's path in the folder. */
  readonly graph?: string;
  /** By their path in the folder. Those of other tools' exports have no sha256. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256?: string }>>;
  /** Of other tools' exports: what a user of it should know, a sentence without its end each. */
  readonly limits?: readonly string[];
};

/** Whether a reward's model keeps KV of what it read: one with a head, unless it reads texts whole. */
export const keepsKv = ({ head, whole }: Pick<Manifest, 'head' | 'whole'>): boolean =>
  head !== undefined && !whole;

/** Of the graph and its weights, as they are stored. */
export const graphBytes = ({ files }: Pick<Manifest, 'files'>): number =>
  Object.entries(files).reduce(
    (sum, [name, { bytes }]) => sum + (name.includes('.onnx') ? bytes : 0),
    0,
  );

/** @throws ConfigError that names the file and the field */
export function readManifest(folder: string): Manifest {
  const path = join(folder, 'manifest.json');
  try {
    const raw: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return { ...check(schema, raw, ''), folder: realpathSync(folder) };
  } catch (error) {
    if (error instanceof ServeError || error instanceof SyntaxError)
      throw new ConfigError(`${path}: ${error.message}`);
    throw new ConfigError(`no manifest can be read at ${path}: ${reason(error)}`);
  }
}

/**
 * Checks every file of the manifest: a plain file in the folder, of the size and sha256 it had where that is known.
 * @throws ConfigError that names the first file at fault
 */
export function verifyFiles({ folder, files }: Manifest): void {
  for (const [name, { bytes, sha256 }] of Object.entries(files)) {
    const path = join(folder, name);
    refuseLinks(path);
    if (sha256 === undefined) continue;
    const found = digest(path);
    if (found.bytes !== bytes)
      throw new ConfigError(`${path} has ${found.bytes} bytes; its manifest says ${bytes}`);
    if (found.sha256 !== sha256)
      throw new ConfigError(
        `${path} is damaged or was changed: its sha256 is ${found.sha256}, its manifest says ${sha256}`,
      );
  }
}

function refuseLinks(path: string): void {
  const stat = statOf(path);
  if (stat.isSymbolicLink() || realpathSync(path) !== path)
    throw new ConfigError(`${path} is a link; model files must stand in their own folder`);
  if (!stat.isFile()) throw new ConfigError(`${path} is not a plain file`);
}

function statOf(path: string) {
  try {
    return lstatSync(path);
  } catch (error) {
    throw new ConfigError(`${path} is in the manifest, but cannot be read: ${reason(error)}`);
  }
}

/** A piece at a time: weights may be larger than memory allows. */
function digest(path: string): { bytes: number; sha256: string } {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(2 ** 20);
  const file = openSync(path, 'r');
  try {
    let bytes = 0;
    for (;;) {
      const read = readSync(file, piece, 0, piece.length, null);
      if (read === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(piece.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(file);
  }
}
