/**
 * What an ONNX file says of itself: inputs, outputs, operators. The file is walked, not read: weights are stepped over,
 * so a graph of gigabytes costs its names. Field numbers are those of onnx.proto, which are append-only.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Dim } from './graph.ts';

export interface Outline {
  readonly inputs: ReadonlyMap<string, Described>;
  readonly outputs: ReadonlyMap<string, Described>;
  /** Names of the operators that it is made of, those inside branches too. */
  readonly operators: ReadonlySet<string>;
  /** Names of the floats that its operators are given, such as softcap, where these are not 0. */
  readonly settings: ReadonlySet<string>;
}

export interface Described {
  /** Such as float32; a number of TensorProto.DataType that has no name here as that number. */
  readonly type: string;
  readonly dims: readonly Dim[];
}

const TYPES: Readonly<Record<number, string>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  16: 'bfloat16',
};

/** @throws Error that names the file if it is no ONNX file */
export function outlineOf(path: string): Outline {
  const file = openSync(path, 'r');
  try {
    return outline(new Walk(file, fstatSync(file).size));
  } catch (error) {
    throw new Error(`${path} is no ONNX file: ${(error as Error).message}`, { cause: error });
  } finally {
    closeSync(file);
  }
}

function outline(walk: Walk): Outline {
  const [inputs, outputs] = [new Map<string, Described>(), new Map<string, Described>()];
  const [operators, settings, stored] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let depth = 0;
  const branch = (end: number): void => {
    if (++depth > DEEPEST) throw new Error(`branches within branches, more than ${DEEPEST} deep`);
    walk.fields(end, { 1: (stop) => walk.fields(stop, node) });
    depth--;
  };
  const attribute = (end: number): void => {
    let [name, float] = ['', 0];
    walk.fields(end, {
      1: (stop) => (name = walk.text(stop)),
      2: () => (float = walk.float()),
      6: branch,
    });
    if (float !== 0) settings.add(name);
  };
  const node: Visitors = { 4: (end) => operators.add(walk.text(end)), 5: attribute };
  const graph: Visitors = {
    1: (end) => walk.fields(end, node),
    5: (tensor) => walk.fields(tensor, { 8: (end) => stored.add(walk.text(end)) }),
    11: (port) => inputs.set(...portOf(walk, port)),
    12: (port) => outputs.set(...portOf(walk, port)),
  };
  walk.fields(walk.size, { 7: (end) => walk.fields(end, graph) });
  if (outputs.size === 0) throw new Error('it has no outputs');
  for (const name of stored) inputs.delete(name); // old files list weights as inputs that have a default
  return { inputs, outputs, operators, settings };
}

function portOf(walk: Walk, end: number): [string, Described] {
  let [name, type] = ['', 0];
  const dims: Dim[] = [];
  const dim = (stop: number): void => {
    let size: Dim = '?';
    walk.fields(stop, {
      1: (_, value) => (size = value),
      2: (textEnd) => (size = walk.text(textEnd)),
    });
    dims.push(size);
  };
  const shape: Visitors = { 1: dim };
  const tensor: Visitors = {
    1: (_, value) => (type = value),
    2: (stop) => walk.fields(stop, shape),
  };
  walk.fields(end, {
    1: (stop) => (name = walk.text(stop)),
    2: (stop) => walk.fields(stop, { 1: (typeEnd) => walk.fields(typeEnd, tensor) }),
  });
  return [name, { type: TYPES[type] ?? String(type), dims }];
}

/** By field number; `end` is where the field's content ends, `value` what a number says. */
type Visitors = Readonly<Record<number, (end: number, value: number) => void>>;

const DEEPEST = 16;
const WINDOW = 2 ** 16;
const LONGEST_TEXT = 2 ** 12;
/** Bytes of the longest number. */
const LONGEST_VARINT = 10;

/** A protobuf message in a file, field by field. */
class Walk {
  readonly size: number;
  readonly #file: number;
  readonly #window = Buffer.alloc(WINDOW);
  /** Where the window begins in the file, and what of it is filled. */
  #start = 0;
  #filled = 0;
  #at = 0;

  constructor(file: number, size: number) {
    [this.#file, this.size] = [file, size];
  }

  /** Visits the fields up to `end`; those without a visitor are stepped over. */
  fields(end: number, visitors: Visitors): void {
    while (this.#at < end) {
      const key = this.#varint();
      const [field, wire] = [Math.floor(key / 8), key % 8];
      const value = wire === 0 || wire === 2 ? this.#varint() : 0;
      const size = SIZES[wire] ?? (wire === 2 ? value : Number.NaN);
      const stop = this.#at + size;
      if (!(stop <= end)) throw new Error(`byte ${this.#at} is no field of a message`);
      visitors[field]?.(stop, value);
      this.#at = stop;
    }
  }

  /** The text that ends at `end`. */
  text(end: number): string {
    const size = end - this.#at;
    if (size > LONGEST_TEXT) throw new Error(`a name of ${size} bytes`);
    return this.#bytes(size).toString();
  }

  float(): number {
    return this.#bytes(4).readFloatLE();
  }

  #varint(): number {
    let [value, scale] = [0, 1];
    for (let i = 0; i < LONGEST_VARINT; i++) {
      const byte = this.#bytes(1)[0]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new Error(`byte ${this.#at} is no number`);
  }

  #bytes(size: number): Buffer {
    const inside = this.#at - this.#start;
    if (inside < 0 || inside + size > this.#filled) {
      [this.#start, this.#filled] = [this.#at, 0];
      this.#filled = readSync(this.#file, this.#window, 0, WINDOW, this.#at);
      if (this.#filled < size) throw new Error('it ends too early');
    }
    const from = this.#at - this.#start;
    this.#at += size;
    return this.#window.subarray(from, from + size);
  }
}

/** Bytes of a field's content by wire type; 2 says its own. */
const SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 8, 5: 4 };
