/**
 * A decoder's graph made to keep its KV as int8: GroupQueryAttention is given a scale for each channel of its keys and
 * values. Messages are appended to and never rewritten: of a field that stands twice in a protobuf message the last one
 * holds, and messages that stand twice are merged.
 */

import protobuf from 'protobufjs/minimal.js';
import type { Attribute } from './graph.ts';
import { ELEMENT, message, tag, text, writeAttribute, writeTensor, type Writer } from './file.ts';

/** What one step of int8 is worth, [layers][kvHeads * headDim]. */
export interface KvScales {
  readonly key: readonly (readonly number[])[];
  readonly value: readonly (readonly number[])[];
}

const PARTS = ['key', 'value'] as const;
const ATTENTION = 'GroupQueryAttention';
/** Its inputs: past key and value, and the scales of both. */
const [PAST, SCALES] = [3, 12];
const SETTINGS: Readonly<Record<string, Attribute>> = {
  k_quant_type: 'PER_CHANNEL',
  v_quant_type: 'PER_CHANNEL',
  kv_cache_bit_width: 8,
};
/** Fields of ModelProto, of GraphProto, and of NodeProto. */
const GRAPH = 7;
const [NODE, INITIALIZER, INPUT, OUTPUT] = [1, 5, 11, 12];
const [NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE] = [1, 2, 4, 5];

/**
 * @param model ModelProto of a decoder that keeps its KV as float32
 * @param scales of its layers in the graph's order
 * @throws Error if another number of layers attend than there are scales of
 */
export function withInt8Kv(model: Uint8Array, scales: KvScales): Uint8Array {
  const w = protobuf.Writer.create();
  for (const { id, content, bytes } of fieldsOf(model))
    if (id === GRAPH) message(w, GRAPH, () => amend(w, [...fieldsOf(content)], scales));
    else w.raw(bytes);
  return w.finish();
}

function amend(w: Writer, graph: readonly Field[], scales: KvScales): void {
  const kept = new Set<string>();
  let layers = 0;
  for (const { id, content, bytes } of graph) {
    const node = id === NODE ? nodeOf(content) : null;
    if (node?.op === ATTENTION) {
      for (const name of [...node.inputs.slice(PAST, PAST + 2), ...node.outputs.slice(1)])
        kept.add(name);
      const layer = layers++;
      message(w, NODE, () => attend(w, content, node.inputs.length, layer));
    } else if ((id === INPUT || id === OUTPUT) && kept.has(nameOf(content)))
      message(w, id, () => asInt8(w.raw(content)));
    else w.raw(bytes);
  }
  for (const part of PARTS) {
    if (scales[part].length !== layers)
      throw new Error(`${layers} layers attend, and there are scales of ${scales[part].length}`);
    scales[part].forEach((values, layer) => {
      const data = Float32Array.from(values);
      const tensor = { dims: [data.length], data };
      message(w, INITIALIZER, () => writeTensor(w, tensor, scaleName(layer, part)));
    });
  }
}

const scaleName = (layer: number, part: string): string => `kv_scale.${layer}.${part}`;

function attend(w: Writer, node: Uint8Array, inputs: number, layer: number): void {
  w.raw(node);
  for (let i = inputs; i < SCALES; i++) text(w, NODE_INPUT, '');
  for (const part of PARTS) text(w, NODE_INPUT, scaleName(layer, part));
  for (const [name, value] of Object.entries(SETTINGS))
    message(w, NODE_ATTRIBUTE, () => writeAttribute(w, name, value));
}

/** Says the element type of a port once more. */
const asInt8 = (w: Writer): void =>
  message(w, 2, () => message(w, 1, () => w.uint32(tag(1, 0)).int32(ELEMENT.int8)));

interface Field {
  readonly id: number;
  /** Of a text or a message. */
  readonly content: Uint8Array;
  /** With its key and length. */
  readonly bytes: Uint8Array;
}

function* fieldsOf(of: Uint8Array): Generator<Field> {
  const r = protobuf.Reader.create(of);
  while (r.pos < r.len) {
    const start = r.pos;
    const key = r.uint32();
    const [id, wire] = [key >>> 3, key & 7];
    let content = of.subarray(0, 0);
    if (wire === 2) {
      const size = r.uint32();
      content = of.subarray(r.pos, r.pos + size);
      r.skip(size);
    } else r.skipType(wire);
    yield { id, content, bytes: of.subarray(start, r.pos) };
  }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Of a ValueInfoProto. */
const nameOf = (port: Uint8Array): string =>
  textOf([...fieldsOf(port)].find(({ id }) => id === 1)?.content ?? port.subarray(0, 0));

function nodeOf(node: Uint8Array) {
  const fields = [...fieldsOf(node)];
  const texts = (field: number): string[] =>
    fields.filter(({ id }) => id === field).map(({ content }) => textOf(content));
  return { op: texts(NODE_OP)[0], inputs: texts(NODE_INPUT), outputs: texts(NODE_OUTPUT) };
}
