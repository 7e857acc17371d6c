/**
 * Brings models that were imported before 2026-11-25 to today's inputs, weights untouched: `last_index` (one position of
 * each row) becomes `read_index` (any places), and score models get the KV inputs and outputs that decoders have.
 *   npx tsx models/recipes/regraph.ts models/NAME ...    (importing the checkpoint again does the same)
 */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs/minimal.js';

/** One field of a message: its number, its content where that is length-delimited, and all its bytes. */
interface Field {
  readonly id: number;
  readonly content: Buffer;
  readonly raw: Buffer;
}

function fieldsOf(message: Buffer): Field[] {
  const r = protobuf.Reader.create(message);
  const fields: Field[] = [];
  while (r.pos < r.len) {
    const start = r.pos;
    const tag = r.uint32();
    let content: Uint8Array = Buffer.alloc(0);
    if ((tag & 7) === 2) content = r.bytes();
    else r.skipType(tag & 7);
    const raw = message.subarray(start, r.pos);
    fields.push({ id: tag >>> 3, content: Buffer.from(content), raw });
  }
  return fields;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}
const field = (id: number, ...content: readonly (Buffer | string)[]): Buffer => {
  const bytes = Buffer.concat(content.map((part) => Buffer.from(part)));
  return Buffer.concat([varint(id * 8 + 2), varint(bytes.length), bytes]);
};
const int = (id: number, value: number): Buffer => Buffer.concat([varint(id * 8), varint(value)]);

const textsOf = (message: Buffer, id: number): string[] =>
  fieldsOf(message).flatMap((f) => (f.id === id ? [f.content.toString()] : []));

const node = (op: string, inputs: readonly string[], output: string): Buffer =>
  Buffer.concat([...inputs.map((name) => field(1, name)), field(2, output), field(3, output), field(4, op)]);

const port = (name: string, type: number, dims: readonly (string | number)[]): Buffer => {
  const sizes = dims.map((dim) => field(1, typeof dim === 'number' ? int(1, dim) : field(2, dim)));
  return Buffer.concat([field(1, name), field(2, field(1, int(1, type), field(2, ...sizes)))]);
};

const int64s = (name: string, values: readonly number[]): Buffer => {
  const data = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  return Buffer.concat([int(1, values.length), int(2, INT64), field(8, name), field(9, data)]);
};

const [NODE, INITIALIZER, INPUT, OUTPUT] = [1, 5, 11, 12];
const [FLOAT, INT32, INT64] = [1, 6, 7];

interface Shape {
  readonly hidden: number;
  readonly vocab: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** The values that a score graph made its lengths of, and what takes their place. */
function lengthsOf(nodes: readonly Buffer[]): Map<string, string> {
  const from = (input: string | undefined, op: string): string =>
    nodes
      .filter((n) => textsOf(n, 4)[0] === op && input !== undefined && textsOf(n, 1).includes(input))
      .map((n) => textsOf(n, 2)[0]!)[0] ?? '';
  const dims = from('input_ids', 'Shape');
  const dim = from(dims, 'Gather');
  return new Map([
    [from('last_index', 'Cast'), 'seqlens_k'],
    [from(dim, 'Cast'), 'total_sequence_length'],
    [dims, ''],
    [dim, ''],
  ]);
}

/** Attention with its KV as inputs: the fourth and fifth. */
function cachedAttention(bytes: Buffer, lengths: ReadonlyMap<string, string>, past: readonly string[]): Buffer {
  let at = 0;
  const rewritten = fieldsOf(bytes).map((f) => {
    if (f.id !== 1) return f.raw;
    const name = f.content.toString();
    const here = at++;
    return field(1, here === 3 || here === 4 ? past[here - 3]! : (lengths.get(name) ?? name));
  });
  return Buffer.concat(rewritten);
}

function regraph(graph: Buffer, { hidden, vocab, kvHeads, headDim }: Shape): Buffer {
  const fields = fieldsOf(graph);
  const nodes = fields.filter(({ id }) => id === NODE).map(({ content }) => content);
  const nameOf = (f: Field): string => (f.id === INPUT || f.id === OUTPUT ? textsOf(f.content, 1)[0]! : '');
  const inputs = fields.filter(({ id }) => id === INPUT).map(nameOf);
  if (!inputs.includes('last_index')) throw new Error('it has no last_index');
  const scores = !inputs.includes('seqlens_k');
  const lengths = scores ? lengthsOf(nodes) : new Map<string, string>();
  const last = nodes.find((n) => textsOf(n, 4)[0] === 'Unsqueeze' && textsOf(n, 1)[0] === 'last_index')!;
  const place = textsOf(last, 2)[0]!;
  const kv = (length: string): (string | number)[] => ['batch_size', kvHeads, length, headDim];
  const [pasts, presents]: Buffer[][] = [[], []];

  const rewritten = nodes.flatMap((bytes) => {
    const [op, ins, outs] = [textsOf(bytes, 4)[0], textsOf(bytes, 1), textsOf(bytes, 2)];
    if (bytes === last || lengths.has(outs[0]!)) return [];
    if (op === 'GatherND' && ins[1] === place)
      return [node('Reshape', [ins[0]!, 'read/shape'], 'read/states'), node('Gather', ['read/states', 'read_index'], outs[0]!)];
    if (op !== 'GroupQueryAttention' || !scores) return [bytes];
    const past = outs.slice(1).map((name) => name.replace('present', 'past_key_values'));
    pasts!.push(...past.map((name) => field(INPUT, port(name, FLOAT, kv('past_sequence_length')))));
    presents!.push(...outs.slice(1).map((name) => field(OUTPUT, port(name, FLOAT, kv('total_sequence_length')))));
    return [cachedAttention(bytes, lengths, past)];
  });
  const others = fields.flatMap((f) => {
    if (f.id === NODE) return [];
    if (nameOf(f) === 'last_index')
      return [
        ...(scores ? [field(INPUT, port('seqlens_k', INT32, ['batch_size'])), field(INPUT, port('total_sequence_length', INT32, []))] : []),
        field(INPUT, port('read_index', INT64, ['reads'])),
        ...pasts!,
      ];
    if (nameOf(f) === 'logits') return [field(OUTPUT, port('logits', FLOAT, ['reads', vocab]))];
    if (nameOf(f) === 'score') return [...presents!, field(OUTPUT, port('score', FLOAT, ['reads']))];
    return [f.raw];
  });
  const shape = field(INITIALIZER, int64s('read/shape', [-1, hidden]));
  return Buffer.concat([...rewritten.map((bytes) => field(NODE, bytes)), ...others, shape]);
}

interface Manifest {
  readonly files: Record<string, { bytes: number; sha256: string }>;
}
const readJson = <T>(...path: string[]): T => JSON.parse(readFileSync(join(...path), 'utf8')) as T;

for (const folder of process.argv.slice(2)) {
  const config = readJson<Record<string, number>>(folder, 'config.json');
  const shape: Shape = {
    hidden: config['hidden_size']!,
    vocab: config['vocab_size']!,
    kvHeads: config['num_key_value_heads']!,
    headDim: config['head_dim'] ?? config['hidden_size']! / config['num_attention_heads']!,
  };
  const file = join(folder, 'model.onnx');
  const model = fieldsOf(readFileSync(file)).map((f) =>
    f.id === 7 ? field(7, regraph(f.content, shape)) : f.raw,
  );
  const bytes = Buffer.concat(model);
  const manifest = readJson<Manifest>(folder, 'manifest.json');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  manifest.files['model.onnx'] = { bytes: bytes.length, sha256 };
  writeFileSync(file, bytes);
  writeFileSync(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(`${folder}: ${bytes.length} bytes`);
}
