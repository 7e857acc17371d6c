/**
 * Reads one safetensors file: 8 bytes of header length, a JSON header, then the tensors end to end.
 * A file is data from outside: all of its header is checked before anything is read. One tensor is held at a time.
 */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';

/** Named tensors, as float32 whatever they are stored as. */
export interface TensorSource {
  readonly names: readonly string[];
  /** Throws if there is no such tensor. */
  shape(name: string): readonly number[];
  /** Values in row-major order. Throws if there is no such tensor, or the file has become shorter. */
  read(name: string): Float32Array;
}

const MAX_HEADER_BYTES = 100_000_000;
const BYTES_PER_VALUE = { F32: 4, F16: 2, BF16: 2 } as const;

type Dtype = keyof typeof BYTES_PER_VALUE;

interface Entry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Opens a file and checks its header. Throws an Error that names the file and the tensor at fault. */
export function openSafetensors(path: string): TensorSource & Disposable {
  const fd = openSync(path, 'r');
  const file = basename(path);
  try {
    const { entries, dataStart } = readHeader(fd, file);
    const find = (name: string): Entry => {
      const entry = entries.get(name);
      if (!entry) throw new Error(`${file} has no tensor ${name}`);
      return entry;
    };
    return {
      names: [...entries.keys()],
      shape: (name) => find(name).shape,
      read(name) {
        const { dtype, begin, end } = find(name);
        return toFloat32(dtype, readBytes(fd, dataStart + begin, end - begin, file));
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
  const entries = Object.entries(parseObject(text, file))
    .filter(([name]) => name !== '__metadata__')
    .map(([name, raw]) => parseEntry(name, raw, file));
  checkLayout(entries, size - 8 - length, file);
  return { entries: new Map(entries.map((entry) => [entry.name, entry])), dataStart: 8 + length };
}

function parseObject(text: string, file: string): object {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw new Error(`${file} is no safetensors file: its header is not JSON`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw new Error(`${file} is no safetensors file: its header is not a JSON object`);
  return header;
}

function parseEntry(name: string, raw: unknown, file: string): Entry {
  const fail = (what: string): never => {
    throw new Error(`${file}: tensor ${name} ${what}`);
  };
  const { dtype, shape, data_offsets } = (raw ?? {}) as Record<string, unknown>;
  if (!isDtype(dtype)) return fail(`has dtype ${String(dtype)}; F32, F16 and BF16 are read`);
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

const isDtype = (raw: unknown): raw is Dtype =>
  typeof raw === 'string' && Object.hasOwn(BYTES_PER_VALUE, raw);

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

function toFloat32(dtype: Dtype, bytes: ArrayBuffer): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes);
    case 'BF16':
      return new Float32Array(
        Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer,
      );
    case 'F16': {
      const table = Float32Array.from({ length: 65536 }, (_, bits) => fromHalf(bits));
      return Float32Array.from(new Uint16Array(bytes), (bits) => table[bits] ?? 0);
    }
  }
}

/** Value of an IEEE 754 binary16: 1 sign bit, 5 of exponent, 10 of fraction. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
