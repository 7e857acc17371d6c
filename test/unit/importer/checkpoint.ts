/** Random checkpoints in a temporary folder, and running the graphs made of them. */

import * as ort from 'onnxruntime-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { buildDecoder, type GraphOptions } from '../../../src/importer/decoder.ts';
import { TINY, writeRandomLlama, type RandomLlama } from '../../support/random_llama.ts';
import type { TensorSource } from '../../../src/importer/safetensors.ts';
import { openSources, type Asked } from '../../../src/importer/sources.ts';
import type { Spec } from '../../../src/importer/spec.ts';

export interface Checkpoint {
  readonly folder: string;
  readonly spec: Spec;
  readonly source: TensorSource;
}

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A folder that lives as long as the test file runs. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
  folders.push(folder);
  return folder;
}

export function randomCheckpoint(changes: Partial<RandomLlama> = {}): Checkpoint {
  const folder = temporaryFolder();
  writeRandomLlama(folder, { ...TINY, ...changes });
  return openCheckpoint(folder, { role: changes.score === true ? 'reward' : 'policy' });
}

export function openCheckpoint(folder: string, asked: Partial<Asked> = {}): Checkpoint {
  const { spec, weights } = openSources({ from: folder, role: 'policy', ...asked });
  return { folder, spec, source: weights };
}

export const tokens = (length: number, seed = 1): number[] =>
  Array.from({ length }, (_, i) => 1 + ((i * 37 + seed * 101 + ((i * i) % 17)) % 300));

const int64 = (values: readonly number[], dims: readonly number[]) =>
  new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims);
const int32 = (values: readonly number[], dims: readonly number[]) =>
  new ort.Tensor('int32', Int32Array.from(values), dims);

/** Rows right-padded with 0. */
function padded(rows: readonly (readonly number[])[], least = 1): ort.Tensor {
  const length = Math.max(least, ...rows.map((row) => row.length));
  const zeros = Array.from({ length }, () => 0);
  const ids = rows.flatMap((row) => [...row, ...zeros.slice(row.length)]);
  return int64(ids, [rows.length, length]);
}

export async function session({ spec, source }: Checkpoint, options: GraphOptions) {
  return ort.InferenceSession.create(buildDecoder(spec, source, options).bytes());
}

function emptyCache({ layers, kvHeads, headDim }: Spec, rows: number) {
  const none = () => new ort.Tensor('float32', new Float32Array(0), [rows, kvHeads, 0, headDim]);
  const names = layers.flatMap((_, i) => [`${i}.key`, `${i}.value`]);
  return Object.fromEntries(names.map((name) => [`past_key_values.${name}`, none()]));
}

/** A growing KV cache over the cached layout. */
export class Decoder {
  readonly #session: ort.InferenceSession;
  readonly #spec: Spec;
  #cache: Record<string, ort.Tensor> = {};
  #lengths: number[] = [];

  private constructor(session: ort.InferenceSession, spec: Spec) {
    this.#session = session;
    this.#spec = spec;
  }

  static async open(
    checkpoint: Checkpoint,
    weights: GraphOptions['weights'],
    options: Partial<GraphOptions> = {},
  ): Promise<Decoder> {
    const model = await session(checkpoint, { weights, layout: 'cached', ...options });
    return new Decoder(model, checkpoint.spec);
  }

  /** Starts over. */
  reset(): void {
    this.#lengths = [];
  }

  /** Logits of each row's last token. Rows of several tokens with a past need to be alone. */
  async feed(rows: readonly (readonly number[])[]): Promise<Float32Array[]> {
    return this.read('logits', rows);
  }

  /** An output at each row's last token. */
  async read(
    output: string,
    rows: readonly (readonly number[])[],
    more: Record<string, ort.Tensor> = {},
  ): Promise<Float32Array[]> {
    if (this.#lengths.length === 0) {
      this.#lengths = rows.map(() => 0);
      this.#cache = emptyCache(this.#spec, rows.length);
    }
    this.#lengths = this.#lengths.map((length, i) => length + rows[i]!.length);
    const out = await this.#session.run({
      ...this.#cache,
      ...more,
      input_ids: padded(rows),
      seqlens_k: int32(
        this.#lengths.map((length) => length - 1),
        [rows.length],
      ),
      total_sequence_length: int32([Math.max(...this.#lengths)], []),
      read_index: lastOf(rows),
    });
    for (const [name, value] of Object.entries(out))
      if (name.startsWith('present'))
        this.#cache[name.replace('present', 'past_key_values')] = value;
    const values = out[output]!.data as Float32Array;
    const width = values.length / rows.length;
    return rows.map((_, i) => values.slice(i * width, (i + 1) * width));
  }
}

/** Where each row ends, in rows padded to the longest, or to `least`. */
function lastOf(rows: readonly (readonly number[])[], least = 1): ort.Tensor {
  const width = Math.max(least, ...rows.map((row) => row.length));
  return int64(
    rows.map((row, r) => r * width + row.length - 1),
    [rows.length],
  );
}

/** Scores of a batch, padded to the longest row, or to `least`. */
export async function scores(
  model: ort.InferenceSession,
  { spec }: Checkpoint,
  rows: readonly (readonly number[])[],
  least = 1,
): Promise<number[]> {
  const ids = padded(rows, least);
  const out = await model.run({
    ...emptyCache(spec, rows.length),
    input_ids: ids,
    seqlens_k: int32(
      rows.map((row) => row.length - 1),
      [rows.length],
    ),
    total_sequence_length: int32([ids.dims[1]!], []),
    read_index: lastOf(rows, least),
  });
  return [...(out['score']!.data as Float32Array)];
}

/** Logits at every position of one sequence in the genai layout, [tokens][vocab]. */
export async function genaiLogits(
  model: ort.InferenceSession,
  spec: Spec,
  ids: readonly number[],
): Promise<Float32Array[]> {
  const feeds = {
    ...emptyCache(spec, 1),
    input_ids: int64(ids, [1, ids.length]),
    attention_mask: int64(
      ids.map(() => 1),
      [1, ids.length],
    ),
  };
  const logits = (await model.run(feeds))['logits']!.data as Float32Array;
  return ids.map((_, i) => logits.slice(i * spec.vocab, (i + 1) * spec.vocab));
}

export const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
