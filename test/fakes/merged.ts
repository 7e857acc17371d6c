/** Two graphs as one, as Optimum merged decoders: `use_cache_branch` chooses, and both take and give the same. */

import protobuf from 'protobufjs/minimal.js';

const [GRAPH, NODE, INPUT, OUTPUT] = [7, 1, 11, 12]; // fields of ModelProto and GraphProto
const BOOL = 9; // TensorProto.DataType

interface Field {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** The fields of a message that have a length; ours have no others but a version, which is kept. */
function fieldsOf(bytes: Uint8Array): Field[] {
  const reader = protobuf.Reader.create(bytes);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const key = reader.uint32();
    if ((key & 7) === 2) fields.push({ number: key >>> 3, bytes: reader.bytes() });
    else reader.skipType(key & 7);
  }
  return fields;
}

const write = (fields: readonly Field[], w = protobuf.Writer.create()): protobuf.Writer => {
  for (const { number, bytes } of fields) w.uint32(number * 8 + 2).bytes(bytes);
  return w;
};
const text = (number: number, value: string): Field => ({ number, bytes: Buffer.from(value) });
const message = (number: number, ...fields: readonly Field[]): Field => ({
  number,
  bytes: write(fields).finish(),
});
const int = (number: number, value: number): Uint8Array =>
  protobuf.Writer.create()
    .uint32(number * 8)
    .int32(value)
    .finish();

/** @param step runs where `use_cache_branch` is true @param first where it is not */
export function merged(step: Uint8Array, first: Uint8Array): Uint8Array {
  const graphOf = (model: Uint8Array) =>
    fieldsOf(fieldsOf(model).find(({ number }) => number === GRAPH)!.bytes);
  const [a, b] = [graphOf(step), graphOf(first)];
  const outputs = a.filter(({ number }) => number === OUTPUT);
  const names = outputs.map(({ bytes }) => fieldsOf(bytes).find(({ number }) => number === 1)!);
  /** Branches see the inputs of what they are in. */
  const branch = (name: string, graph: readonly Field[]): Field => {
    const inside = graph.filter(({ number }) => number !== INPUT);
    return {
      number: 5,
      bytes: Buffer.concat([write([text(1, name), message(6, ...inside)]).finish(), int(20, 5)]),
    };
  };
  const node = message(
    NODE,
    text(1, 'use_cache_branch'),
    ...names.map(({ bytes }) => ({ number: 2, bytes })),
    text(4, 'If'),
    branch('then_branch', a),
    branch('else_branch', b),
  );
  const dims = message(2, { number: 1, bytes: int(1, 1) });
  const tensor: Field = {
    number: 1,
    bytes: Buffer.concat([int(1, BOOL), write([dims]).finish()]),
  };
  const choice = message(INPUT, text(1, 'use_cache_branch'), message(2, tensor));
  const inputs = a.filter(({ number }) => number === INPUT);
  const graph = message(GRAPH, node, text(2, 'merged'), choice, ...inputs, ...outputs);
  const rest = fieldsOf(step).filter(({ number }) => number !== GRAPH);
  return Buffer.concat([int(1, 8), write([graph, ...rest]).finish()]);
}
