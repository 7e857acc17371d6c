/**
 * A checkpoint folder: files that must stand in it as plain files, and the weights of one safetensors file or of
 * the shards that an index lists. A folder is data from outside: nothing is followed out of it.
 */

import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { repeatedKey } from './repeated_key.ts';
import { openSafetensors, type TensorFile, type TensorSource } from './safetensors.ts';

const INDEX = 'model.safetensors.index.json';
const SINGLE = 'model.safetensors';
/** Tokenizers of large vocabularies take tens of megabytes. */
const MAX_FILE_BYTES = 256 * 2 ** 20;
const MAX_SHARDS = 1000;

export type Json = Readonly<Record<string, unknown>>;

/** The path of a file in the folder. Throws if it is missing, a link, no plain file, or larger than `most` bytes. */
export function fileIn(folder: string, name: string, most = Number.MAX_SAFE_INTEGER): string {
  const path = join(folder, name);
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new Error(`${folder} has no ${name}`);
  if (stat.isSymbolicLink())
    throw new Error(`${path} is a link; copy the checkpoint's files themselves (cp -rL)`);
  if (!stat.isFile()) throw new Error(`${path} is no plain file`);
  if (stat.size > most)
    throw new Error(`${path} has ${stat.size} bytes; at most ${most} are read of such a file`);
  return path;
}

export const readFileIn = (folder: string, name: string): Buffer =>
  readFileSync(fileIn(folder, name, MAX_FILE_BYTES));

/** Throws an Error that names the file if it holds no JSON object. */
export function readJsonIn(folder: string, name: string): Json {
  const text = readFileIn(folder, name).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${join(folder, name)}: ${(error as Error).message}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${join(folder, name)} holds no JSON object`);
  const twice = repeatedKey(text);
  if (twice !== null) throw new Error(`${join(folder, name)} says ${twice} twice`);
  return { ...value };
}

/** Opens all weight files of a folder and checks their headers. Throws an Error that names the file at fault. */
export function openWeights(folder: string): TensorFile {
  if (existsSync(join(folder, SINGLE))) return openSafetensors(fileIn(folder, SINGLE));
  if (existsSync(join(folder, INDEX))) return openShards(folder);
  const others = existsSync(join(folder, 'pytorch_model.bin'))
    ? '; pytorch_model.bin is a program, not data, and is not read: save the model as safetensors'
    : '';
  throw new Error(`${folder} has no ${SINGLE} and no ${INDEX}${others}`);
}

function openShards(folder: string): TensorFile {
  const shardOf = weightMap(folder);
  const opened = new Map<string, TensorFile>();
  const close = (): void => opened.forEach((file) => file[Symbol.dispose]());
  try {
    for (const shard of new Set(shardOf.values()))
      opened.set(shard, openSafetensors(fileIn(folder, shard)));
    checkIndex(shardOf, opened);
  } catch (error) {
    close();
    throw error;
  }
  const holding = (name: string): TensorSource => {
    const file = opened.get(shardOf.get(name) ?? '');
    if (!file) throw new Error(`${INDEX} lists no tensor ${name}`);
    return file;
  };
  return {
    names: [...shardOf.keys()],
    bytes: [...opened.values()].reduce((sum, file) => sum + file.bytes, 0),
    shape: (name) => holding(name).shape(name),
    read: (name, from, to) => holding(name).read(name, from, to),
    [Symbol.dispose]: close,
  };
}

/** Tensor names to shards, which are names of files beside the index. */
function weightMap(folder: string): Map<string, string> {
  const { weight_map: map } = readJsonIn(folder, INDEX);
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new Error(`${INDEX} has no weight_map`);
  const entries = Object.entries(map).map(([name, shard]: [string, unknown]): [string, string] => {
    const plain = typeof shard === 'string' && shard === basename(shard) && !shard.includes('\\');
    if (!plain || !shard.endsWith('.safetensors'))
      throw new Error(
        `${INDEX}: tensor ${name} is in ${JSON.stringify(shard)}; a shard is a .safetensors file beside the index`,
      );
    return [name, shard];
  });
  const shards = new Set(entries.map(([, shard]) => shard)).size;
  if (shards > MAX_SHARDS)
    throw new Error(`${INDEX} lists ${shards} shards; at most ${MAX_SHARDS} are opened`);
  return new Map(entries);
}

/** The index and the shards say the same. */
function checkIndex(
  shardOf: ReadonlyMap<string, string>,
  opened: ReadonlyMap<string, TensorSource>,
): void {
  for (const [shard, { names }] of opened) {
    const held = new Set(names);
    const stray = names.find((name) => shardOf.get(name) !== shard);
    if (stray !== undefined)
      throw new Error(`${shard} holds tensor ${stray}; ${INDEX} does not say so`);
    for (const [name, at] of shardOf)
      if (at === shard && !held.has(name))
        throw new Error(`${INDEX} says that tensor ${name} is in ${shard}; it is not`);
  }
}

/** Heads, which stand beside the body of a model. */
const HEADS = /^(lm_head|embed_out|score|v_head)\./;

/** The names of a whole model for files that were saved without its head, and leave the body's `prefix` out. */
export function withPrefix(source: TensorSource, prefix: string): TensorSource {
  if (source.names.some((name) => name.startsWith(prefix))) return source;
  const names = source.names.map((name) => (HEADS.test(name) ? name : prefix + name));
  const storedAs = new Map(names.map((name, i) => [name, source.names[i] ?? name]));
  const stored = (name: string): string => storedAs.get(name) ?? name;
  return {
    names,
    shape: (name) => source.shape(stored(name)),
    read: (name, from, to) => source.read(stored(name), from, to),
  };
}
