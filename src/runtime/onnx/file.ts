/**
 * A graph as ModelProto bytes. This file and int8_kv.ts, which amends such bytes, know protobufjs.
 * Field numbers are those of onnx.proto, which are append-only.
 */

import protobuf from 'protobufjs/minimal.js';
import type { Attribute, Dim, Graph, Node, Port, Value } from './graph.ts';
import {
  asBytes,
  elementOf,
  piecesOf,
  sizeOf,
  type ElementType,
  type ExternalData,
  type Initializer,
} from './initializer.ts';

export type Writer = protobuf.Writer;

/** TensorProto.DataType. */
export const ELEMENT: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
};
/** TensorProto.DataLocation. */
const EXTERNAL = 1;
/** From opset 18 on every reduction takes its axes as an input. */
const OPSETS = { '': 18, 'com.microsoft': 1 } as const;
const IR_VERSION = 8;

/** @param places of the tensors whose values stand in another file */
export function modelProto(g: Graph, places: ReadonlyMap<string, ExternalData>): Uint8Array {
  const w = protobuf.Writer.create();
  w.uint32(tag(1, 0)).int64(IR_VERSION);
  text(w, 2, 'coxswain');
  message(w, 7, () => writeGraph(w, g, places));
  for (const [domain, version] of Object.entries(OPSETS))
    message(w, 8, () => {
      text(w, 1, domain);
      w.uint32(tag(2, 0)).int64(version);
    });
  return w.finish();
}

function writeGraph(w: Writer, g: Graph, places: ReadonlyMap<string, ExternalData>): void {
  const named = (value: Value) => g.renamed.get(value) ?? value;
  for (const node of g.nodes) message(w, 1, () => writeNode(w, node, named));
  text(w, 2, g.name);
  for (const [name, tensor] of g.initializers)
    message(w, 5, () => writeTensor(w, tensor, name, places.get(name)));
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

export function writeAttribute(w: Writer, name: string, value: Attribute): void {
  text(w, 1, name);
  const kind = (type: number) => w.uint32(tag(20, 0)).int32(type);
  if (typeof value === 'string') {
    text(w, 4, value);
    kind(3);
  } else if (typeof value === 'number') {
    w.uint32(tag(3, 0)).int64(integer(name, value));
    kind(2);
  } else if ('float' in value) {
    w.uint32(tag(2, 5)).float(value.float);
    kind(1);
  } else if ('tensor' in value) {
    message(w, 5, () => writeTensor(w, value.tensor, ''));
    kind(4);
  } else {
    for (const item of value) w.uint32(tag(8, 0)).int64(integer(name, item));
    kind(7);
  }
}

function integer(name: string, value: number): number {
  if (!Number.isSafeInteger(value))
    throw new Error(`attribute ${name} is ${value}; mark it as a float`);
  return value;
}

export function writeTensor(
  w: Writer,
  tensor: Initializer,
  name: string,
  place?: ExternalData,
): void {
  for (const dim of tensor.dims) w.uint32(tag(1, 0)).int64(dim);
  w.uint32(tag(2, 0)).int32(ELEMENT[elementOf(tensor)]);
  text(w, 8, name);
  if (place === undefined) {
    w.uint32(tag(9, 2)).bytes(whole(tensor, name));
    return;
  }
  const { file, offset, bytes } = place;
  for (const [key, value] of Object.entries({ location: file, offset, length: bytes }))
    message(w, 13, () => {
      text(w, 1, key);
      text(w, 2, String(value));
    });
  w.uint32(tag(14, 0)).int32(EXTERNAL);
}

function whole(tensor: Initializer, name: string): Uint8Array {
  if (!('pieces' in tensor.data)) return asBytes(tensor.data);
  const bytes = new Uint8Array(sizeOf(tensor));
  let at = 0;
  for (const piece of piecesOf(tensor)) {
    bytes.set(asBytes(piece), at);
    at += piece.byteLength;
  }
  if (at !== bytes.length) throw new Error(`${name}: ${at} bytes were made of ${bytes.length}`);
  return bytes;
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
export const tag = (field: number, wire: 0 | 2 | 5): number => field * 8 + wire;

export const text = (w: Writer, field: number, value: string): Writer =>
  w.uint32(tag(field, 2)).string(value);

export function message(w: Writer, field: number, write: () => void): void {
  w.uint32(tag(field, 2)).fork();
  write();
  w.ldelim();
}
