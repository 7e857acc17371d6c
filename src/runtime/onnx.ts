/**
 * Writes ONNX models: a graph is built call by call and serialised to ModelProto bytes.
 * The only file that knows protobufjs. Field numbers are those of onnx.proto, which are append-only.
 */

import protobuf from 'protobufjs/minimal.js';

type Writer = protobuf.Writer;

/** TensorProto.DataType. */
const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;

export type ElementType = keyof typeof ELEMENT;

/** A fixed size, or the name of one that is known when the graph runs. */
export type Dim = number | string;

/** The name of a tensor in the graph; '' leaves an optional input out. */
export type Value = string;

/** Stored values; the kind of array says the element type (Uint16Array holds float16 bits). */
export type TensorData =
  Float32Array | Float64Array | Uint16Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;

/** A whole number is an ONNX int and a list of them ints; a float is marked with `float`. */
export type Attribute =
  number | string | readonly number[] | { readonly float: number } | { readonly tensor: Tensor };

export interface Tensor {
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** Marks an attribute as a float: `{ epsilon: float(1e-5) }`. */
export const float = (value: number): Attribute => ({ float: value });

export interface GraphBuilder {
  /** Declares a graph input. */
  input(name: string, type: ElementType, dims: readonly Dim[]): Value;
  /** Makes `value` a graph output called `name`. Returns the name, which stands for the value from here on. */
  output(name: string, value: Value, type: ElementType, dims: readonly Dim[]): Value;
  /** Stores a tensor. Throws if `dims` do not multiply to the number of values. */
  initializer(name: string, dims: readonly number[], data: TensorData): Value;
  /** A 0-d constant; equal ones are stored once. */
  scalar(value: number, type?: 'float32' | 'float64' | 'int32' | 'int64'): Value;
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
  /** The ModelProto. Throws above 2 GiB, the limit of the format. */
  bytes(): Uint8Array;
}

const MAX_BYTES = 2 ** 31 - 1;
/** From opset 18 on every reduction takes its axes as an input. */
const OPSETS = { '': 18, 'com.microsoft': 1 } as const;
const IR_VERSION = 8;

interface Node {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: Record<string, Attribute>;
}

interface Port {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly Dim[];
}

interface Graph {
  readonly name: string;
  readonly nodes: Node[];
  readonly initializers: Map<string, Tensor>;
  readonly inputs: Port[];
  readonly outputs: Port[];
  /** Values that became graph outputs, and the names they got. */
  readonly renamed: Map<Value, string>;
}

/** Starts an empty graph. */
export function graph(name: string): GraphBuilder {
  const g: Graph = {
    name,
    nodes: [],
    initializers: new Map(),
    inputs: [],
    outputs: [],
    renamed: new Map(),
  };
  const add = <const Names extends readonly string[]>(
    op: string,
    inputs: readonly Value[],
    outputs: Names,
    attributes: Record<string, Attribute> = {},
  ): Names => {
    g.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  };
  const constant = (key: string, tensor: Tensor): Value => {
    g.initializers.set(key, tensor);
    return key;
  };
  const builder: GraphBuilder = {
    input: (name, type, dims) => (g.inputs.push({ name, type, dims }), name),
    output(name, value, type, dims) {
      if (g.nodes.some((node) => node.outputs.includes(value)) && !g.renamed.has(value))
        g.renamed.set(value, name);
      else add('Identity', [value], [name]);
      g.outputs.push({ name, type, dims });
      return name;
    },
    initializer(name, dims, data) {
      checkSize(name, { dims, data });
      if (g.initializers.has(name)) throw new Error(`initializer ${name} is stored twice`);
      return constant(name, { dims, data });
    },
    scalar: (value, type = 'float32') =>
      constant(`c/${type}/${value}`, { dims: [], data: one(value, type) }),
    ints: (...values) =>
      constant(`c/ints/${values.join(',')}`, {
        dims: [values.length],
        data: BigInt64Array.from(values, BigInt),
      }),
    node(op, inputs, attributes) {
      return add(op, inputs, [`${g.nodes.length}/${op}`], attributes)[0];
    },
    nodes: add,
    bytes: () => serialise(g),
  };
  return builder;
}

function one(value: number, type: 'float32' | 'float64' | 'int32' | 'int64'): TensorData {
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

function checkSize(name: string, { dims, data }: Tensor): void {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (size !== data.length)
    throw new Error(`${name}: dims [${dims.join(', ')}] hold ${size} values, given ${data.length}`);
}

function serialise(g: Graph): Uint8Array {
  const stored = [...g.initializers.values()].reduce((sum, t) => sum + t.data.byteLength, 0);
  if (stored > MAX_BYTES)
    throw new Error(`graph ${g.name} holds ${stored} bytes; an ONNX file holds ${MAX_BYTES}`);
  const w = protobuf.Writer.create();
  w.uint32(tag(1, 0)).int64(IR_VERSION);
  text(w, 2, 'coxswain');
  message(w, 7, () => writeGraph(w, g));
  for (const [domain, version] of Object.entries(OPSETS))
    message(w, 8, () => {
      text(w, 1, domain);
      w.uint32(tag(2, 0)).int64(version);
    });
  return w.finish();
}

function writeGraph(w: Writer, g: Graph): void {
  const named = (value: Value) => g.renamed.get(value) ?? value;
  for (const node of g.nodes) message(w, 1, () => writeNode(w, node, named));
  text(w, 2, g.name);
  for (const [name, tensor] of g.initializers) message(w, 5, () => writeTensor(w, tensor, name));
  for (const port of g.inputs) message(w, 11, () => writePort(w, port));
  for (const port of g.outputs) message(w, 12, () => writePort(w, port));
}

function writeNode(w: Writer, node: Node, named: (value: Value) => string): void {
  const dot = node.op.lastIndexOf('.');
  for (const input of node.inputs) text(w, 1, named(input));
  for (const output of node.outputs) text(w, 2, named(output));
  text(w, 3, node.outputs.find((output) => output !== '') ?? node.op);
  text(w, 4, node.op.slice(dot + 1));
  for (const [name, value] of Object.entries(node.attributes))
    message(w, 5, () => writeAttribute(w, name, value));
  text(w, 7, node.op.slice(0, Math.max(dot, 0)));
}

function writeAttribute(w: Writer, name: string, value: Attribute): void {
  text(w, 1, name);
  const kind = (type: number) => w.uint32(tag(20, 0)).int32(type);
  if (typeof value === 'string') {
    text(w, 4, value);
    kind(3);
  } else if (typeof value === 'number') {
    w.uint32(tag(3, 0)).int64(whole(name, value));
    kind(2);
  } else if ('float' in value) {
    w.uint32(tag(2, 5)).float(value.float);
    kind(1);
  } else if ('tensor' in value) {
    message(w, 5, () => writeTensor(w, value.tensor, ''));
    kind(4);
  } else {
    for (const item of value) w.uint32(tag(8, 0)).int64(whole(name, item));
    kind(7);
  }
}

function whole(name: string, value: number): number {
  if (!Number.isSafeInteger(value))
    throw new Error(`attribute ${name} is ${value}; mark it as a float`);
  return value;
}

function writeTensor(w: Writer, { dims, data }: Tensor, name: string): void {
  for (const dim of dims) w.uint32(tag(1, 0)).int64(dim);
  w.uint32(tag(2, 0)).int32(ELEMENT[elementOf(data)]);
  text(w, 8, name);
  w.uint32(tag(9, 2)).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function elementOf(data: TensorData): ElementType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Uint16Array) return 'float16';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  return data instanceof Int32Array ? 'int32' : 'int64';
}

function writePort(w: Writer, { name, type, dims }: Port): void {
  const dimension = (dim: Dim) => {
    if (typeof dim === 'number') w.uint32(tag(1, 0)).int64(dim);
    else text(w, 2, dim);
  };
  text(w, 1, name);
  message(w, 2, () =>
    message(w, 1, () => {
      w.uint32(tag(1, 0)).int32(ELEMENT[type]);
      message(w, 2, () => dims.forEach((dim) => message(w, 1, () => dimension(dim))));
    }),
  );
}

/** Key of a protobuf field: wire type 0 is a varint, 2 length-delimited, 5 four bytes. */
const tag = (field: number, wire: 0 | 2 | 5): number => field * 8 + wire;

const text = (w: Writer, field: number, value: string): Writer =>
  w.uint32(tag(field, 2)).string(value);

function message(w: Writer, field: number, write: () => void): void {
  w.uint32(tag(field, 2)).fork();
  write();
  w.ldelim();
}
