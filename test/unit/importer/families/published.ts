/**
 * Tiny checkpoints of the exact published layout (tensor names, shapes, config keys) with random values, written as
 * a hub would serve them, and kept in memory for the reference.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TINY, writeRandomLlama } from '../../../support/random_llama.ts';
import { temporaryFolder } from '../checkpoint.ts';

export type Vector = number[];
export type Config = Readonly<Record<string, unknown>>;
export type Shapes = Readonly<Record<string, readonly number[]>>;

/** The values of a checkpoint, by tensor name. */
export class Tensors {
  readonly #values: ReadonlyMap<string, Float32Array>;
  readonly #shapes: Shapes;
  readonly #rows = new Map<string, Vector[]>();

  constructor(shapes: Shapes, values: ReadonlyMap<string, Float32Array>) {
    this.#shapes = shapes;
    this.#values = values;
  }

  vector(name: string): Vector {
    const values = this.#values.get(name);
    if (!values) throw new Error(`no tensor ${name}`);
    return [...values];
  }

  /** [rows][columns] */
  matrix(name: string): Vector[] {
    const known = this.#rows.get(name);
    if (known) return known;
    const values = this.vector(name);
    const [n = 0, k = 1] = this.#shapes[name]!;
    const rows = Array.from({ length: n }, (_, i) => values.slice(i * k, (i + 1) * k));
    this.#rows.set(name, rows);
    return rows;
  }
}

export interface Published {
  readonly folder: string;
  readonly tensors: Tensors;
}

/** Writes config.json, the weights as float32 and a byte tokenizer of 320 tokens. */
export function publish(config: Config, shapes: Shapes, seed = 1): Published {
  const folder = temporaryFolder();
  mkdirSync(folder, { recursive: true });
  writeRandomLlama(folder, TINY); // its tokenizer
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  const values = randomValues(shapes, seed);
  writeFileSync(join(folder, 'model.safetensors'), safetensors(shapes, values));
  return { folder, tensors: new Tensors(shapes, values) };
}

export function randomValues(shapes: Shapes, seed: number): Map<string, Float32Array> {
  const draw = uniform(seed);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const [spread, centre] = spreadOf(name, shape);
      return [name, Float32Array.from({ length: size }, () => centre + spread * draw())];
    }),
  );
}

/** Weights keep the size of what they multiply, gains are near one, biases are small. */
function spreadOf(name: string, shape: readonly number[]): [spread: number, centre: number] {
  if (shape.length > 1) return [(shape.at(-1)! / 3) ** -0.5, 0];
  return name.endsWith('bias') ? [0.3, 0] : [0.4, 1];
}

/** -1 to 1: a linear congruential generator is random enough for weights. */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  };
}

/** A safetensors file of float32 tensors. */
export function safetensors(shapes: Shapes, values: ReadonlyMap<string, Float32Array>): Buffer {
  let end = 0;
  const header = Object.fromEntries(
    [...values].map(([name, data]) => {
      const begin = end;
      end += data.byteLength;
      return [name, { dtype: 'F32', shape: shapes[name], data_offsets: [begin, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([
    length,
    text,
    ...[...values.values()].map((data) => Buffer.from(data.buffer)),
  ]);
}

export const readConfig = (folder: string): Config =>
  JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Config;
