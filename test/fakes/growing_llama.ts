/**
 * A Llama as Optimum exports it: plain operators, KV that grows by Concat, a causal mask over columns together with
 * `attention_mask`, logits at every position. Written from the published definition, not from our importer.
 */

import type { TensorSource } from '../../src/importer/safetensors.ts';
import type { RandomLlama } from '../support/random_llama.ts';
import { graph, type GraphBuilder, type Value } from '../../src/runtime/onnx/graph.ts';

export interface GrowingOptions {
  /** Whether positions are an input; else the graph counts columns. */
  readonly positions: boolean;
  /** Products with weights as dynamic quantisation makes them: one scale for all that is multiplied. */
  readonly dynamic?: boolean;
  /** KV and logits are halves, as conversion to float16 leaves them; what is between is not. */
  readonly halves?: boolean;
  /** One of the two branches that older exports merge: with no past at all, or traced over one token behind a past. */
  readonly branch?: 'first' | 'step';
}

interface Build extends GrowingOptions {
  readonly g: GraphBuilder;
  readonly shape: RandomLlama;
  readonly source: TensorSource;
  /** [batch, 1, 1, sequence, total]: 0 where a token sees a column, hugely negative elsewhere. */
  readonly mask: Value;
  /** [batch, sequence, 1, head] */
  readonly cos: Value;
  readonly sin: Value;
}

const [FLOAT, BOOL, HALF] = [1, 9, 10]; // TensorProto.DataType, for Cast
const HIDDEN_SCORE = -3.4e38;

export function growingLlama(
  source: TensorSource,
  shape: RandomLlama,
  options: GrowingOptions,
): Uint8Array {
  const g = graph('growing');
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const seen = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const [length, total] = [dimOf(g, ids, 1), dimOf(g, seen, 1)];
  const past = options.branch === 'first' ? g.scalar(0, 'int64') : g.node('Sub', [total, length]);
  const columns = g.node('Range', [past, total, g.scalar(1, 'int64')]);
  const positions = options.positions
    ? g.input('position_ids', 'int64', ['batch_size', 'sequence_length'])
    : g.node('Unsqueeze', [columns, g.ints(0)]);
  const mask = maskOf(g, seen, columns, total, options);
  const build = { ...options, g, shape, source, mask, ...turns(g, shape, positions) };
  const table = stored(build, 'model.embed_tokens.weight');
  let x = g.node('Gather', [table, ids], { axis: 0 });
  for (let i = 0; i < shape.layers; i++) x = layer(build, i, x);
  const read = norm(build, x, 'model.norm.weight');
  const logits = g.node('MatMul', [read, g.node('Transpose', [table], { perm: [1, 0] })]);
  const [said, type] = asKept(build, logits);
  g.output('logits', said, type, ['batch_size', 'sequence_length', shape.vocab]);
  return g.bytes();
}

const dimOf = (g: GraphBuilder, value: Value, axis: number): Value =>
  g.node('Gather', [g.node('Shape', [value]), g.scalar(axis, 'int64')], { axis: 0 });

const asKept = ({ g, halves = false }: Build, value: Value) =>
  halves
    ? ([g.node('Cast', [value], { to: HALF }), 'float16'] as const)
    : ([value, 'float32'] as const);

/** A token in column c sees the columns up to c that the mask shows. Traced over one token, there is no order to see. */
function maskOf(
  g: GraphBuilder,
  seen: Value,
  columns: Value,
  total: Value,
  { branch }: GrowingOptions,
): Value {
  const all = g.node('Range', [g.scalar(0, 'int64'), total, g.scalar(1, 'int64')]);
  const causal = g.node('LessOrEqual', [all, g.node('Unsqueeze', [columns, g.ints(1)])]);
  const shown = g.node('Unsqueeze', [g.node('Cast', [seen], { to: BOOL }), g.ints(1, 2, 3)]);
  const both = branch === 'step' ? shown : g.node('And', [causal, shown]);
  return g.node('Where', [both, g.scalar(0), g.scalar(HIDDEN_SCORE)]);
}

function turns(g: GraphBuilder, { hidden, heads }: RandomLlama, positions: Value) {
  const half = hidden / heads / 2;
  const frequencies = Float32Array.from({ length: half }, (_, i) => 10000 ** (-i / half));
  const at = g.node('Unsqueeze', [g.node('Cast', [positions], { to: FLOAT }), g.ints(2)]);
  const angles = g.node('Mul', [at, g.initializer('frequencies', [1, 1, half], frequencies)]);
  const whole = g.node('Concat', [angles, angles], { axis: 2 });
  const of = (op: string): Value => g.node('Unsqueeze', [g.node(op, [whole]), g.ints(2)]);
  return { cos: of('Cos'), sin: of('Sin') };
}

function layer(build: Build, i: number, x: Value): Value {
  const { g } = build;
  const name = `model.layers.${i}`;
  const attended = attention(build, i, norm(build, x, `${name}.input_layernorm.weight`));
  const sum = g.node('Add', [x, attended]);
  const y = norm(build, sum, `${name}.post_attention_layernorm.weight`);
  const gate = linear(build, `${name}.mlp.gate_proj.weight`, y);
  const act = g.node('Mul', [gate, g.node('Sigmoid', [gate])]);
  const up = g.node('Mul', [act, linear(build, `${name}.mlp.up_proj.weight`, y)]);
  return g.node('Add', [sum, linear(build, `${name}.mlp.down_proj.weight`, up)]);
}

function attention(build: Build, i: number, x: Value): Value {
  const { g, shape, mask } = build;
  const { hidden, heads, kvHeads } = shape;
  const dim = hidden / heads;
  const name = (part: string): string => `model.layers.${i}.self_attn.${part}_proj.weight`;
  const split = (part: string, count: number): Value =>
    g.node('Reshape', [linear(build, name(part), x), g.ints(0, 0, count, dim)]);
  const byHead = (value: Value): Value => g.node('Transpose', [value], { perm: [0, 2, 1, 3] });
  const q = byHead(turned(build, split('q', heads), dim));
  const k = grown(build, i, 'key', byHead(turned(build, split('k', kvHeads), dim)), kvHeads, dim);
  const v = grown(build, i, 'value', byHead(split('v', kvHeads)), kvHeads, dim);
  // Queries [batch, kvHeads, group, sequence, dim] over keys [batch, kvHeads, 1, total, dim].
  const grouped = g.node('Reshape', [q, g.ints(0, kvHeads, heads / kvHeads, -1, dim)]);
  const one = (value: Value): Value => g.node('Unsqueeze', [value, g.ints(2)]);
  const keys = g.node('Transpose', [one(k)], { perm: [0, 1, 2, 4, 3] });
  const scaled = g.node('Mul', [g.node('MatMul', [grouped, keys]), g.scalar(dim ** -0.5)]);
  const shares = g.node('Softmax', [g.node('Add', [scaled, mask])], { axis: -1 });
  const mixed = g.node('MatMul', [shares, one(v)]);
  const joined = byHead(g.node('Reshape', [mixed, g.ints(0, heads, -1, dim)]));
  return linear(build, name('o'), g.node('Reshape', [joined, g.ints(0, 0, hidden)]));
}

function grown(
  build: Build,
  i: number,
  part: string,
  fresh: Value,
  heads: number,
  dim: number,
): Value {
  const { g, halves = false, branch } = build;
  const dims = (length: string) => ['batch_size', heads, length, dim];
  const name = `${i}.${part}`;
  const type = halves ? 'float16' : 'float32';
  const past = g.input(`past_key_values.${name}`, type, dims('past_sequence_length'));
  const [kept] = asKept(build, fresh);
  const all = branch === 'first' ? kept : g.node('Concat', [past, kept], { axis: 2 });
  const present = g.output(`present.${name}`, all, type, dims('total_sequence_length'));
  return halves ? g.node('Cast', [present], { to: FLOAT }) : present;
}

/** Rotary positions on the halves of [batch, sequence, heads, dim]. */
function turned({ g, cos, sin }: Build, x: Value, dim: number): Value {
  const half = dim / 2;
  const [low, high] = g.nodes('Split', [x, g.ints(half, half)], [`${x}/low`, `${x}/high`], {
    axis: 3,
  });
  const rotated = g.node('Concat', [g.node('Neg', [high]), low], { axis: 3 });
  return g.node('Add', [g.node('Mul', [x, cos]), g.node('Mul', [rotated, sin])]);
}

function norm(build: Build, x: Value, name: string): Value {
  const { g } = build;
  const mean = g.node('ReduceMean', [g.node('Mul', [x, x]), g.ints(-1)], { keepdims: 1 });
  const rms = g.node('Sqrt', [g.node('Add', [mean, g.scalar(1e-5)])]);
  return g.node('Mul', [g.node('Div', [x, rms]), stored(build, name)]);
}

function linear(build: Build, name: string, x: Value): Value {
  const { g, dynamic = false } = build;
  const weight = g.node('Transpose', [stored(build, name)], { perm: [1, 0] });
  if (!dynamic) return g.node('MatMul', [x, weight]);
  const quantised = (value: Value, of: string) =>
    g.nodes('DynamicQuantizeLinear', [value], [`${of}/q`, `${of}/scale`, `${of}/zero`]);
  const [a, aScale, aZero] = quantised(x, `${name}/x`);
  const [b, bScale, bZero] = quantised(weight, `${name}/w`);
  const product = g.node('Cast', [g.node('MatMulInteger', [a, b, aZero, bZero])], { to: FLOAT });
  return g.node('Mul', [product, g.node('Mul', [aScale, bScale])]);
}

const known = new WeakMap<GraphBuilder, Map<string, Value>>();

function stored({ g, source }: Build, name: string): Value {
  const values = known.get(g) ?? new Map<string, Value>();
  known.set(g, values);
  const value = values.get(name) ?? g.initializer(name, source.shape(name), source.read(name));
  values.set(name, value);
  return value;
}
