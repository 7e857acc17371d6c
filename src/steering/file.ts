/** The file of a steering vector: safetensors with one tensor, `steering` [width], and the layer that it is of as metadata. */

import { basename, dirname } from 'node:path';
import { fileIn } from '../importer/checkpoint.ts';
import { openSafetensors } from '../importer/safetensors.ts';

export interface SteeringVector {
  /** It is added to the states that leave so many layers. */
  readonly layer: number;
  readonly values: Float32Array;
}

const TENSOR = 'steering';
/** 4 million values: more than any model is wide. */
const MAX_BYTES = 16 * 2 ** 20;

/** @throws Error that names the file, and what of it is not as it should be */
export function readVector(path: string): SteeringVector {
  using file = openSafetensors(fileIn(dirname(path), basename(path), MAX_BYTES));
  const { names, metadata } = file;
  if (names.length !== 1 || names[0] !== TENSOR)
    throw new Error(
      `${path} has the tensors ${names.join(', ')}; a vector's file has one, steering`,
    );
  const shape = file.shape(TENSOR);
  if (shape.length !== 1 || shape[0] === 0)
    throw new Error(`${path}: steering is of shape [${shape.join(', ')}]; a vector's is [width]`);
  const layer = Number(metadata['layer']);
  if (!Number.isSafeInteger(layer) || layer < 1)
    throw new Error(
      `${path} ${metadata['layer'] === undefined ? 'names no layer' : `names layer ${metadata['layer']}`}; its metadata must have it as a whole number above zero`,
    );
  return { layer, values: file.read(TENSOR) };
}

/** The bytes of the file. @param facts texts by name, for people */
export function vectorBytes(
  { layer, values }: SteeringVector,
  facts: Readonly<Record<string, string>> = {},
): Buffer {
  const header = {
    __metadata__: { ...facts, format: 'coxswain-steering', layer: String(layer) },
    [TENSOR]: { dtype: 'F32', shape: [values.length], data_offsets: [0, values.byteLength] },
  };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const data = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return Buffer.concat([length, text, data]);
}
