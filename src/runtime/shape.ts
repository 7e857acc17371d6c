/** What of a model's folder decides the tensors that are given to it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StateColumns } from '../core/model.ts';
import { readJson } from './json.ts';

export interface Shape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  /** Longest sequence, in tokens. */
  readonly context: number;
  /** Width of the states of each layer, which the graph tells behind the logits; left out: it does not. */
  readonly states?: number | undefined;
  /** What KV is kept as. */
  readonly kv?: KvElement | undefined;
}

/** Numbers of KV, halves by their bits. */
export type KvArray = Float32Array | Uint16Array | Int8Array;

const ARRAYS = { float32: Float32Array, float16: Uint16Array, int8: Int8Array } as const;
type KvElement = keyof typeof ARRAYS;

export const kvElement = ({ kv = 'float32' }: Shape): KvElement => kv;

/** So many numbers of a model's KV, all zero. */
export const kvArray = (shape: Shape, size: number): KvArray => new ARRAYS[kvElement(shape)](size);

interface DecoderConfig {
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly hidden_size: number;
  readonly head_dim?: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
}

/**
 * What the importer wrote into the manifest; else, for other tools' exports, what a Llama-like config.json says.
 * @throws Error that names the file, if it is no JSON
 */
export function shapeOf(folder: string): Shape {
  const manifest = join(folder, 'manifest.json');
  const shape = existsSync(manifest)
    ? readJson<{ readonly shape?: Shape }>(manifest).shape
    : undefined;
  return shape ?? configShape(folder);
}

function configShape(folder: string): Shape {
  const config = readJson<DecoderConfig>(join(folder, 'config.json'));
  return {
    layers: config.num_hidden_layers,
    kvHeads: config.num_key_value_heads,
    headDim: config.head_dim ?? config.hidden_size / config.num_attention_heads,
    vocab: config.vocab_size,
    context: config.max_position_embeddings,
  };
}

/** Numbers that a graph says of a place: logits, and what is told behind them. */
export const rowWidth = ({ vocab, layers, states = 0 }: Shape): number =>
  vocab + (layers + 1) * states;

/** Where a row tells the states of each layer: of what enters the first, and of what leaves each. */
export const stateColumns = ({ vocab, layers, states }: Shape): StateColumns | null =>
  states === undefined ? null : { from: vocab, layers: layers + 1, width: states };

/** Bytes of KV per position. */
export const kvBytes = (shape: Shape): number =>
  2 * shape.layers * shape.kvHeads * shape.headDim * ARRAYS[kvElement(shape)].BYTES_PER_ELEMENT;

/** Names of a model's KV inputs: key and value of each layer in turn. */
export const kvNames = ({ layers }: Shape): string[] =>
  Array.from({ length: layers }, (_, i) => [
    `past_key_values.${i}.key`,
    `past_key_values.${i}.value`,
  ]).flat();
