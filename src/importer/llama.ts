/**
 * A Hugging Face Llama checkpoint as an ONNX graph: fused operators, GroupQueryAttention with its KV cache as
 * inputs and outputs, the vocabulary projection for one position per row only. ENGINE.md has the reasons.
 */

import { float, graph, type GraphBuilder, type Value } from '../runtime/onnx.ts';
import type { LlamaConfig } from './config.ts';
import type { TensorSource } from './safetensors.ts';
import {
  linear,
  lookUp,
  project,
  storeTable,
  type Table,
  type Weights,
  type WeightStore,
} from './weights.ts';

/**
 * cached: ours; lengths given directly, `read_index` says which positions are read out: a step and a prefill ask for
 * one of each row, a text that is judged for many. A score model's heads are read in the same way, as `score`.
 * genai: onnxruntime-genai's and Optimum's inputs; lengths from `attention_mask`, logits at every position.
 */
export type Layout = 'cached' | 'genai';

export interface LlamaOptions {
  readonly weights: Weights;
  readonly layout: Layout;
}

interface Build extends WeightStore {
  readonly config: LlamaConfig;
}

interface Ports {
  readonly ids: Value;
  /** int32 [batch_size]: tokens of a row that are in the cache after this run, less one. */
  readonly seqlens: Value;
  /** int32 scalar: the longest row, this run's tokens included. */
  readonly total: Value;
  /** int64 [reads], places in [batch_size * sequence_length]; null: every position is read out. */
  readonly read: Value | null;
}

/**
 * Builds the model. Throws an Error naming the tensor that is missing, has another shape, or has no place in a Llama.
 * Inputs and outputs: see `Layout`; KV tensors are `past_key_values.N.key|value` and `present.N.key|value`,
 * float32 [batch_size, kvHeads, length, headDim].
 */
export function buildLlama(
  config: LlamaConfig,
  source: TensorSource,
  { weights, layout }: LlamaOptions,
): Uint8Array {
  const taken = new Set<string>();
  const take = (name: string, ...shape: readonly number[]): Float32Array => {
    taken.add(name);
    const found = source.shape(name);
    if (found.join() !== shape.join())
      throw new Error(
        `tensor ${name} is [${found.join(', ')}]; the config asks for [${shape.join(', ')}]`,
      );
    return source.read(name);
  };
  const g = graph('llama');
  const build: Build = { g, config, weights, take };
  const ports = layout === 'genai' ? genaiInputs(g) : cachedInputs(g);
  const table = storeTable(build, 'model.embed_tokens.weight', config.vocab, config.hidden);
  const states = decoder(build, ports, lookUp(build.g, table, ports.ids));
  const read = ports.read === null ? states : readAt(g, states, ports.read, config.hidden);
  if (config.kind === 'score') scoreHead(build, read);
  else
    languageHead(
      build,
      read,
      table,
      ports.read === null ? ['batch_size', 'sequence_length'] : ['reads'],
    );
  const stray = source.names.find((name) => !taken.has(name) && !isRedundant(name, config));
  if (stray !== undefined) throw new Error(`tensor ${stray} has no place in a Llama`);
  return g.bytes();
}

/** Older exports store the rotary frequencies; a tied projection may be stored a second time. */
const isRedundant = (name: string, { tied }: LlamaConfig): boolean =>
  name.endsWith('.rotary_emb.inv_freq') || (tied && name === 'lm_head.weight');

function cachedInputs(g: GraphBuilder): Ports {
  return {
    ids: g.input('input_ids', 'int64', ['batch_size', 'sequence_length']),
    seqlens: g.input('seqlens_k', 'int32', ['batch_size']),
    total: g.input('total_sequence_length', 'int32', []),
    read: g.input('read_index', 'int64', ['reads']),
  };
}

function genaiInputs(g: GraphBuilder): Ports {
  const ids = g.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = g.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  const lengths = g.node('ReduceSum', [mask, g.ints(1)], { keepdims: 0 });
  return {
    ids,
    seqlens: g.node('Cast', [g.node('Sub', [lengths, g.ints(1)])], { to: 6 }),
    total: sizeOf(g, mask, 1),
    read: null,
  };
}

/** One dim of a tensor, as an int32 scalar. */
function sizeOf(g: GraphBuilder, value: Value, axis: number): Value {
  const size = g.node('Gather', [g.node('Shape', [value]), g.scalar(axis, 'int64')], { axis: 0 });
  return g.node('Cast', [size], { to: 6 });
}

/** [batch, sequence, hidden] at the places `read` [reads]: [reads, hidden]. */
function readAt(g: GraphBuilder, states: Value, read: Value, hidden: number): Value {
  const flat = g.node('Reshape', [states, g.ints(-1, hidden)]);
  return g.node('Gather', [flat, read], { axis: 0 });
}

/** Embeddings to normalised states, both [batch, sequence, hidden]. */
function decoder(build: Build, ports: Ports, embedded: Value): Value {
  const { g, config } = build;
  const caches = ropeCaches(g, config);
  let residual = embedded;
  const gamma = norm(build, 'model.layers.0.input_layernorm.weight');
  let x = g.node('SimplifiedLayerNormalization', [residual, gamma], {
    axis: -1,
    stash_type: 1,
    epsilon: float(config.epsilon),
  });
  for (let i = 0; i < config.layers; i++) {
    const layer = `model.layers.${i}`;
    const attended = attention(build, ports, i, x, caches);
    [x, residual] = addAndNorm(
      build,
      attended,
      residual,
      `${layer}.post_attention_layernorm.weight`,
    );
    const next = i + 1 < config.layers ? `model.layers.${i + 1}.input_layernorm` : 'model.norm';
    [x, residual] = addAndNorm(
      build,
      feedForward(build, `${layer}.mlp`, x),
      residual,
      `${next}.weight`,
    );
  }
  return x;
}

/** cos and sin of position times frequency, [context, headDim / 2]. */
function ropeCaches(g: GraphBuilder, { context, headDim, ropeTheta }: LlamaConfig): Value[] {
  const half = headDim / 2;
  const angle = (i: number) => Math.floor(i / half) * ropeTheta ** (-(i % half) / half);
  return [Math.cos, Math.sin].map((f) =>
    g.initializer(
      `rope.${f.name}`,
      [context, half],
      Float32Array.from({ length: context * half }, (_, i) => f(angle(i))),
    ),
  );
}

function norm({ g, config, take }: Build, name: string): Value {
  return g.initializer(name, [config.hidden], take(name, config.hidden));
}

/** x + residual, normalised and as it is. */
function addAndNorm(build: Build, x: Value, residual: Value, name: string): [Value, Value] {
  const [normed, , , sum] = build.g.nodes(
    'com.microsoft.SkipSimplifiedLayerNormalization',
    [x, residual, norm(build, name)],
    [name.replace('.weight', '.out'), '', '', name.replace('.weight', '.sum')],
    { epsilon: float(build.config.epsilon) },
  );
  return [normed ?? '', sum ?? ''];
}

function attention(
  build: Build,
  ports: Ports,
  i: number,
  x: Value,
  caches: readonly Value[],
): Value {
  const { g, config } = build;
  const { heads, kvHeads, headDim, hidden } = config;
  const name = `model.layers.${i}.self_attn`;
  // Measured against three projections: equal at worst, up to 14 % of a step faster at batch 1 and 16.
  const qkv = linear(build, x, hidden, {
    [`${name}.q_proj.weight`]: heads * headDim,
    [`${name}.k_proj.weight`]: kvHeads * headDim,
    [`${name}.v_proj.weight`]: kvHeads * headDim,
  });
  const kv = (['key', 'value'] as const).map((part) => ({
    past: `past_key_values.${i}.${part}`,
    present: `present.${i}.${part}`,
  }));
  const dims = (length: string) => ['batch_size', kvHeads, length, headDim];
  const past = kv.map((port) => g.input(port.past, 'float32', dims('past_sequence_length')));
  const [out] = g.nodes(
    'com.microsoft.GroupQueryAttention',
    [qkv, '', '', ...past, ports.seqlens, ports.total, ...caches],
    [`${name}.out`, ...kv.map((port) => port.present)],
    { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1, rotary_interleaved: 0 },
  );
  for (const { present } of kv)
    g.output(present, present, 'float32', dims('total_sequence_length'));
  return linear(build, out ?? '', heads * headDim, { [`${name}.o_proj.weight`]: hidden });
}

/** down(silu(gate(x)) * up(x)) */
function feedForward(build: Build, name: string, x: Value): Value {
  const { g } = build;
  const { ffn, hidden } = build.config;
  const gate = linear(build, x, hidden, { [`${name}.gate_proj.weight`]: ffn }, 'outputs');
  const up = linear(build, x, hidden, { [`${name}.up_proj.weight`]: ffn }, 'outputs');
  const silu = g.node('Mul', [gate, g.node('Sigmoid', [gate])]);
  return linear(
    build,
    g.node('Mul', [silu, up]),
    ffn,
    { [`${name}.down_proj.weight`]: hidden },
    'inputs',
  );
}

/** `logits` float32 [...places, vocab] */
function languageHead(build: Build, x: Value, embedding: Table, places: readonly string[]): void {
  const { vocab, hidden, tied } = build.config;
  const table = tied ? embedding : storeTable(build, 'lm_head.weight', vocab, hidden);
  build.g.output('logits', project(build.g, table, x), 'float32', [...places, vocab]);
}

/** `score` float32 [reads]. A sum of products, not a MatMul: its order of additions does not depend on the batch. */
function scoreHead({ g, config, take }: Build, x: Value): void {
  const weight = g.initializer(
    'score.weight',
    [config.hidden],
    take('score.weight', 1, config.hidden),
  );
  const score = g.node('ReduceSum', [g.node('Mul', [x, weight]), g.ints(-1)], { keepdims: 0 });
  g.output('score', score, 'float32', ['reads']);
}
