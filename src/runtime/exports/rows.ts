/** What rows over graphs of other tools have in common: the inputs beside KV, and logits at every position. */

import type { KvRows } from '../../core/model.ts';
import type { Token } from '../../core/tree.ts';
import type { Device } from '../devices/device.ts';
import type { Takes } from './export.ts';
import { intoFloats } from '../ort/halves.ts';
import type { OrtSession, Tensor } from '../ort/ort.ts';
import type { KvArray, Shape } from '../shape.ts';

export interface ExportedModel {
  readonly device: Device;
  readonly session: OrtSession;
  readonly shape: Shape;
  readonly takes: Takes;
  /** Buffers of KV that grows, which all rows of the model run in; empty at first. */
  readonly copies: { readonly past: KvArray[]; readonly present: KvArray[] };
}

/** Logits of a run: what ORT writes to, and how they are read. */
export interface Said {
  readonly tensor: Tensor;
  /** The logits as floats; to be called after a run, and valid until `floats` is called again. */
  read(): Float32Array;
}

/** Room for logits of these dims. @param floats as many numbers */
export function saidOf(
  { device: { ort }, takes }: ExportedModel,
  dims: readonly number[],
  floats: Float32Array,
): Said {
  if (!takes.halfLogits) return { tensor: ort.tensor('float32', dims, floats), read: () => floats };
  const halves = new Uint16Array(floats.length);
  return {
    tensor: ort.tensor('float16', dims, halves),
    read: () => (intoFloats(halves, floats), floats),
  };
}

/** What the graph says after the token at `position`; [vocab], valid during the call. */
export type Visit = (position: number, logits: Float32Array) => void;

export interface ExportedRows extends KvRows {
  /** As `prefill`, and shows the logits after every token. */
  read(row: number, tokens: readonly Token[], from: number, visit: Visit): void;
}

/** What a run is told: rows of `width` tokens each that see `columns` of KV, their own included. */
export interface Feed {
  /** [rows, width] */
  readonly ids: BigInt64Array;
  /** [rows, width] */
  readonly positions: BigInt64Array;
  /** [rows, columns]; 1 where KV is to be seen. */
  readonly mask: BigInt64Array;
}

export const emptyFeed = (rows: number, width: number, columns: number): Feed => ({
  ids: new BigInt64Array(rows * width),
  positions: new BigInt64Array(rows * width),
  mask: new BigInt64Array(rows * columns),
});

/** Inputs over the first `rows` rows of a feed. */
export function feedTensors(
  { device: { ort }, takes }: ExportedModel,
  { ids, positions, mask }: Feed,
  rows: number,
  width: number,
  columns: number,
): Record<string, Tensor> {
  const over = (data: BigInt64Array, each: number): Tensor =>
    ort.tensor('int64', [rows, each], data.subarray(0, rows * each));
  return {
    input_ids: over(ids, width),
    attention_mask: over(mask, columns),
    ...(takes.positions ? { position_ids: over(positions, width) } : {}),
    ...(takes.cacheBranch
      ? { use_cache_branch: ort.tensor('bool', [1], Uint8Array.of(Number(columns > width))) }
      : {}),
    ...(takes.logitsToKeep === null
      ? {}
      : { num_logits_to_keep: ort.tensor('int64', takes.logitsToKeep, ALL) }),
  };
}

/** Of the logits, in the words of transformers. */
const ALL = BigInt64Array.of(0n);

/** The logits after the last of `tokens`, [vocab]. */
export function lastOf(
  rows: ExportedRows,
  row: number,
  tokens: readonly Token[],
  from: number,
): Float32Array {
  let last: Float32Array = NOTHING;
  rows.read(row, tokens, from, (_, logits) => (last = logits));
  return last;
}

/** The logits after each of `tokens`, [tokens, vocab]. */
export function allOf(
  rows: ExportedRows,
  row: number,
  tokens: readonly Token[],
  from: number,
  vocab: number,
): Float32Array {
  const all = new Float32Array(tokens.length * vocab);
  rows.read(row, tokens, from, (position, logits) => all.set(logits, (position - from) * vocab));
  return all;
}

const NOTHING = new Float32Array(0);

/** One prompt after the other; [prompts, vocab]. */
export function eachAlone(
  rows: ExportedRows,
  first: number,
  prompts: readonly (readonly Token[])[],
  vocab: number,
): Float32Array {
  const logits = new Float32Array(prompts.length * vocab);
  prompts.forEach((prompt, i) => logits.set(lastOf(rows, first + i, prompt, 0), i * vocab));
  return logits;
}
