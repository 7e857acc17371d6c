/**
 * ONNX models: a graph is built call by call, then serialised. What it stores may be made when it is written,
 * piece by piece, so that a graph of any size can be built and looked at for the price of its names.
 */

import { sum } from '../../core/math.ts';
import { modelProto } from './file.ts';
import {
  asBytes,
  piecesOf,
  product,
  sizeOf,
  type ElementType,
  type LateData,
  type ExternalData,
  type Initializer,
  type TensorData,
} from './initializer.ts';

/** A fixed size, or the name of one that is known when the graph runs. */
export type Dim = number | string;

/** The name of a tensor in the graph; '' leaves an optional input out. */
export type Value = string;

/** A whole number is an ONNX int and a list of them ints; a float is marked with `float`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly tensor: Initializer };

/** Marks an attribute as a float: `{ epsilon: float(1e-5) }`. */
export const float = (value: number): Attribute => ({ float: value });

export interface GraphBuilder {
  /** Declares a graph input. */
  input(name: string, type: ElementType, dims: readonly Dim[]): Value;
  /** Makes `value` a graph output called `name`. Returns the name, which stands for the value from here on. */
  output(name: string, value: Value, type: ElementType, dims: readonly Dim[]): Value;
  /** Stores a tensor. Throws if `dims` do not multiply to the number of values, where these are given. */
  initializer(name: string, dims: readonly number[], data: TensorData | LateData): Value;
  /** A 0-d constant; equal ones are stored once. */
  scalar(value: number, type?: Scalar): Value;
  /** A 1-d int64 constant: axes, shapes, slice bounds; equal ones are stored once. */
  ints(...values: readonly number[]): Value;
  /** Adds an operator with one output. An operator of another domain is named in full: 'com.microsoft.MatMulNBits'. */
  node(op: string, inputs: readonly Value[], attributes?: Record<string, Attribute>): Value;
  /** Adds an operator with several outputs, called as given; '' leaves one out. */
  nodes<const Names extends readonly string[]>(
    op: string,
    inputs: readonly Value[],
    outputs: Names,
    attributes?: Record<string, Attribute>,
  ): Names;
  /** Bytes of all that is stored. */
  stored(): number;
  /** The ModelProto. Throws above 2 GiB, the limit of the format. */
  bytes(): Uint8Array;
  /** The ModelProto without its large tensors, and these as the content of the file `file` beside it. */
  split(file: string): SplitModel;
}

interface SplitModel {
  readonly model: Uint8Array;
  readonly dataBytes: number;
  /** In order, padding included. Values are made as they are asked for. */
  readonly data: Iterable<Uint8Array>;
}

const MAX_BYTES = 2 ** 31 - 1;
/** Smaller tensors stay in the model: shape inference reads them there. */
const LEAST_SPLIT_BYTES = 1024;
/** Tensors of the second file start at whole pages, so that they can be mapped into memory. */
const PAGE = 4096;

export interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Record<string, Attribute>;
}

export interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dim[];
}

export interface Graph {
  readonly name: string;
  readonly nodes: Node[];
  readonly initializers: Map<string, Initializer>;
  readonly inputs: Port[];
  readonly outputs: Port[];
  /** Values that became graph outputs, and the names they got. */
  readonly renamed: Map<Value, string>;
}

/** Starts an empty graph. */
export const graph = (name: string): GraphBuilder => new Builder(name);

class Builder implements GraphBuilder {
  readonly #graph: Graph;

  constructor(name: string) {
    this.#graph = {
      name,
      nodes: [],
      initializers: new Map(),
      inputs: [],
      outputs: [],
      renamed: new Map(),
    };
  }

  input(name: string, type: ElementType, dims: readonly Dim[]): Value {
    this.#graph.inputs.push({ name, type, dims });
    return name;
  }

  output(name: string, value: Value, type: ElementType, dims: readonly Dim[]): Value {
    const { nodes, outputs, renamed } = this.#graph;
    if (nodes.some((node) => node.outputs.includes(value)) && !renamed.has(value))
      renamed.set(value, name);
    else this.nodes('Identity', [value], [name]);
    outputs.push({ name, type, dims });
    return name;
  }

  initializer(name: string, dims: readonly number[], data: TensorData | LateData): Value {
    checkSize(name, { dims, data });
    if (this.#graph.initializers.has(name)) throw new Error(`initializer ${name} is stored twice`);
    return this.#store(name, { dims, data });
  }

  scalar(value: number, type: Scalar = 'float32'): Value {
    return this.#store(`c/${type}/${value}`, { dims: [], data: one(value, type) });
  }

  ints(...values: readonly number[]): Value {
    const data = BigInt64Array.from(values, BigInt);
    return this.#store(`c/ints/${values.join(',')}`, { dims: [values.length], data });
  }

  node(op: string, inputs: readonly Value[], attributes?: Record<string, Attribute>): Value {
    return this.nodes(op, inputs, [`${this.#graph.nodes.length}/${op}`], attributes)[0];
  }

  nodes<const Names extends readonly string[]>(
    op: string,
    inputs: readonly Value[],
    outputs: Names,
    attributes: Record<string, Attribute> = {},
  ): Names {
    this.#graph.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  stored(): number {
    return sum([...this.#graph.initializers.values()].map(sizeOf));
  }

  bytes(): Uint8Array {
    const stored = this.stored();
    if (stored > MAX_BYTES)
      throw new Error(
        `graph ${this.#graph.name} holds ${stored} bytes; an ONNX file holds ${MAX_BYTES}`,
      );
    return modelProto(this.#graph, new Map());
  }

  split(file: string): SplitModel {
    return split(this.#graph, file);
  }

  #store(name: string, tensor: Initializer): Value {
    this.#graph.initializers.set(name, tensor);
    return name;
  }
}

type Scalar = 'float32' | 'float64' | 'int32' | 'int64';

function one(value: number, type: Scalar): TensorData {
  switch (type) {
    case 'float32':
      return Float32Array.of(value);
    case 'float64':
      return Float64Array.of(value);
    case 'int32':
      return Int32Array.of(value);
    case 'int64':
      return BigInt64Array.of(BigInt(value));
  }
}

function checkSize(name: string, { dims, data }: Initializer): void {
  const size = product(dims);
  if (!('pieces' in data) && size !== data.length)
    throw new Error(`${name}: dims [${dims.join(', ')}] hold ${size} values, given ${data.length}`);
}

function split(g: Graph, file: string): SplitModel {
  const places = new Map<string, ExternalData>();
  let end = 0;
  for (const [name, tensor] of g.initializers) {
    const bytes = sizeOf(tensor);
    if (bytes < LEAST_SPLIT_BYTES) continue;
    const offset = Math.ceil(end / PAGE) * PAGE;
    places.set(name, { file, offset, bytes });
    end = offset + bytes;
  }
  return {
    model: modelProto(g, places),
    dataBytes: end,
    data: { [Symbol.iterator]: () => content(g, places) },
  };
}

function* content(g: Graph, places: ReadonlyMap<string, ExternalData>): Generator<Uint8Array> {
  let at = 0;
  for (const [name, { offset, bytes }] of places) {
    if (offset > at) yield new Uint8Array(offset - at);
    at = offset;
    for (const piece of piecesOf(g.initializers.get(name)!)) {
      yield asBytes(piece);
      at += piece.byteLength;
    }
    if (at !== offset + bytes)
      throw new Error(`${name}: ${at - offset} bytes were made of ${bytes}`);
  }
}
