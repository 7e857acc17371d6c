/**
 * Reads one safetensors file: 8 bytes of header length, a JSON header, then the tensors end to end.
 * A file is data from outside: all of its header is checked before anything is read. Tensors are read by rows.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { toFloat32, type Dtype } from './dtype.ts';
import { repeatedKey } from './repeated_key.ts';

/** Named tensors, as float32 whatever they are stored as. */
export interface TensorSource {
  readonly names: readonly string[];
  /** Throws if there is no such tensor. */
  shape(name: string): readonly number[];
  /**
   * The rows `from` to `to` (all of them by default) along the first axis, in row-major order. Throws if there is
   * no such tensor, it is not stored as floats, a value is not finite, or the file has become shorter.
   */
  read(name: string, from?: number, to?: number): Float32Array;
}

/** A source with open files behind it. */
export interface TensorFile extends TensorSource, Disposable {
  /** Size of the files. */
  readonly bytes: number;
}

interface OneFile extends TensorFile {
  /** What the file says beside its tensors, texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

const METADATA = '__metadata__';
const MAX_HEADER_BYTES = 100_000_000;
/** What a checkpoint may hold beside weights: masks and counters are in published ones. */
const BYTES_PER_VALUE = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

type Stored = keyof typeof BYTES_PER_VALUE;
const WEIGHTS: readonly string[] = ['F32', 'F16', 'BF16'] satisfies Dtype[];

interface Entry {
  readonly name: string;
  readonly dtype: Stored;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Opens a file and checks its header. Throws an Error that names the file and the tensor at fault. */
export function openSafetensors(path: string): OneFile {
  const fd = openSync(path, 'r');
  const file = basename(path);
  try {
    const { entries, metadata, dataStart } = readHeader(fd, file);
    const find = (name: string): Entry => {
      const entry = entries.get(name);
      if (!entry) throw new Error(`${file} has no tensor ${name}`);
      return entry;
    };
    return {
      names: [...entries.keys()],
      metadata,
      bytes: fstatSync(fd).size,
      shape: (name) => find(name).shape,
      read(name, from = 0, to) {
        const { dtype, shape, begin, end } = find(name);
        if (!isWeight(dtype))
          throw new Error(
            `${file}: tensor ${name} is stored as ${dtype}; weights are ${WEIGHTS.join(', ')}`,
          );
        const rows = shape[0] ?? 1;
        const stride = rows === 0 ? 0 : (end - begin) / rows;
        const [first, last] = [begin + from * stride, begin + (to ?? rows) * stride];
        const values = toFloat32(dtype, readBytes(fd, dataStart + first, last - first, file));
        checkFinite(values, `${file}: tensor ${name}`, (first - begin) / BYTES_PER_VALUE[dtype]);
        return values;
      },
      [Symbol.dispose]: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function readHeader(fd: number, file: string) {
  const size = fstatSync(fd).size;
  if (size < 8) throw new Error(`${file} is no safetensors file: it has ${size} bytes`);
  const length = Number(new DataView(readBytes(fd, 0, 8, file)).getBigUint64(0, true));
  const most = Math.min(MAX_HEADER_BYTES, size - 8);
  if (length > most)
    throw new Error(`${file} announces a header of ${length} bytes; at most ${most} are possible`);
  const text = new TextDecoder().decode(readBytes(fd, 8, length, file));
  const header = Object.entries(parseObject(text, file));
  const entries = header
    .filter(([name]) => name !== METADATA)
    .map(([name, raw]) => parseEntry(name, raw, file));
  checkLayout(entries, size - 8 - length, file);
  return {
    entries: new Map(entries.map((entry) => [entry.name, entry])),
    metadata: textsOf(header.find(([name]) => name === METADATA)?.[1]),
    dataStart: 8 + length,
  };
}

/** What is no text is not metadata, by the format's definition; published files are not held to it. */
const textsOf = (raw: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(raw ?? {}).filter(
      (pair): pair is [string, string] => typeof pair[1] === 'string',
    ),
  );

function parseObject(text: string, file: string): object {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw new Error(`${file} is no safetensors file: its header is not JSON`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new Error(`${file} is no safetensors file: its header is not a JSON object`);
  const twice = repeatedKey(text);
  if (twice !== null) throw new Error(`${file}: its header lists ${twice} twice`);
  return header;
}

function parseEntry(name: string, raw: unknown, file: string): Entry {
  const fail = (what: string): never => {
    throw new Error(`${file}: tensor ${name} ${what}`);
  };
  const { dtype, shape, data_offsets } = (raw ?? {}) as Record<string, unknown>;
  if (!isStored(dtype))
    return fail(`has dtype ${String(dtype)}; ${Object.keys(BYTES_PER_VALUE).join(', ')} are known`);
  if (!isCounts(shape)) return fail('has a shape that is no list of whole numbers');
  if (!isCounts(data_offsets) || data_offsets.length !== 2)
    return fail('has no data_offsets [begin, end]');
  const [begin = 0, end = 0] = data_offsets;
  const bytes = shape.reduce((product, dim) => product * dim, BYTES_PER_VALUE[dtype]);
  if (begin > end) return fail(`begins at ${begin}, after its end ${end}`);
  if (end - begin !== bytes)
    return fail(`spans ${end - begin} bytes; ${dtype} [${shape.join(', ')}] takes ${bytes}`);
  return { name, dtype, shape, begin, end };
}

const isStored = (raw: unknown): raw is Stored =>
  typeof raw === 'string' && Object.hasOwn(BYTES_PER_VALUE, raw);

const isWeight = (dtype: Stored): dtype is Dtype => WEIGHTS.includes(dtype);

const isCounts = (raw: unknown): raw is number[] =>
  Array.isArray(raw) && raw.every((item) => Number.isSafeInteger(item) && item >= 0);

/** The format wants the tensors to fill the data part without overlap or hole. */
function checkLayout(entries: readonly Entry[], dataBytes: number, file: string): void {
  let end = 0;
  for (const entry of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const at = `${file}: tensor ${entry.name} lies at ${entry.begin} to ${entry.end}`;
    if (entry.end > dataBytes) throw new Error(`${at}; the file holds ${dataBytes} bytes of data`);
    if (entry.begin < end) throw new Error(`${at} and overlaps the one before it`);
    if (entry.begin > end)
      throw new Error(`${at}; the ${entry.begin - end} bytes before it are no tensor`);
    end = entry.end;
  }
  if (end !== dataBytes)
    throw new Error(`${file}: the last ${dataBytes - end} bytes are no tensor`);
}

/** A single read is limited to 2 GiB, a tensor is not. */
function readBytes(fd: number, position: number, length: number, file: string): ArrayBuffer {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const read = readSync(fd, bytes, done, Math.min(length - done, 2 ** 30), position + done);
    if (read === 0)
      throw new Error(`${file} ends at byte ${position + done}; it was longer before`);
    done += read;
  }
  return bytes.buffer;
}

/** A weight that is no number would spread through every answer. */
function checkFinite(values: Float32Array, tensor: string, first: number): void {
  // Not a number if any value is infinite or not a number; one comparison less per value than a search.
  let nothing = 0;
  for (let i = 0; i < values.length; i++) nothing += values[i]! * 0;
  if (nothing === 0) return;
  const at = values.findIndex((value) => !Number.isFinite(value));
  throw new Error(`${tensor} holds ${values[at]} at value ${first + at}; weights must be finite`);
}
