/** Tensors that a graph stores: at hand, or made when the graph is written. */

/** A kind of value, by its size in bytes. */
const BYTES = {
  float32: 4,
  uint8: 1,
  int8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
} as const;

export type ElementType = keyof typeof BYTES;

/** Stored values; the kind of array says the element type (Uint16Array holds float16 bits). */
export type TensorData =
  Float32Array | Float64Array | Uint16Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;

/** Values that are made when the graph is written, in row-major order. */
export interface LateData {
  readonly type: ElementType;
  pieces(): Iterable<TensorData>;
}

export interface Initializer {
  readonly dims: readonly number[];
  readonly data: TensorData | LateData;
}

/** Where a tensor stands in a second file. */
export interface ExternalData {
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

/** The values of a tensor, one after the other. */
export const piecesOf = ({ data }: Initializer): Iterable<TensorData> =>
  'pieces' in data ? data.pieces() : [data];

export const asBytes = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

export function elementOf({ data }: Initializer): ElementType {
  if ('pieces' in data) return data.type;
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Uint16Array) return 'float16';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  return data instanceof Int32Array ? 'int32' : 'int64';
}

export const sizeOf = (tensor: Initializer): number =>
  product(tensor.dims) * BYTES[elementOf(tensor)];

export const product = (dims: readonly number[]): number =>
  dims.reduce((size, dim) => size * dim, 1);
