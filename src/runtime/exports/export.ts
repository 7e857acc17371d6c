/**
 * Model folders that other tools exported (onnxruntime-genai; Optimum, transformers.js): where the graph is, what it
 * takes and gives, and what that costs. Whatever is not supported is refused by its name.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chosen, filesOf, findGraph } from './files.ts';
import { readJson } from '../json.ts';
import { outlineOf, type Outline, type Described } from '../onnx/outline.ts';
import { presentName } from '../kv/store.ts';
import { kvElement, kvNames, type Shape } from '../shape.ts';

interface Export {
  /** The graph's file within the folder. */
  readonly graph: string;
  /** genai: past and present KV are one buffer (GroupQueryAttention). growing: present is past and what was read. */
  readonly layout: 'genai' | 'growing';
  readonly shape: Shape;
  readonly takes: Takes;
  /** Sizes of the graph, its data and the tokenizer's files. */
  readonly files: Readonly<Record<string, number>>;
  /** What a user of it should know, a sentence without its end each. */
  readonly limits: readonly string[];
}

/** Inputs that not every graph has. */
export interface Takes {
  readonly positions: boolean;
  /** Dims of `num_logits_to_keep`; null: there is none. */
  readonly logitsToKeep: readonly number[] | null;
  /** `use_cache_branch` says whether there is a past: one graph for the first run, one for steps of a token. */
  readonly cacheBranch: boolean;
  /** `logits` are halves. */
  readonly halfLogits: boolean;
}

interface Genai {
  readonly model?: {
    readonly context_length?: unknown;
    readonly vocab_size?: unknown;
    readonly decoder?: {
      readonly filename?: unknown;
      readonly num_key_value_heads?: unknown;
      readonly head_size?: unknown;
    };
  };
}

/**
 * @param asked the graph's file in the folder; left out: the one that a config names, or that has a usual name
 * @throws Error that names the folder and what it lacks, or the input, output or type that is not supported
 */
export function readExport(folder: string, asked?: string): Export {
  const genai = jsonOf<Genai>(folder, 'genai_config.json');
  const config = jsonOf<Readonly<Record<string, unknown>>>(folder, 'config.json');
  const { graph, others } = findGraph(folder, asked ?? namedBy(folder, genai));
  const path = join(folder, graph);
  const outline = outlineOf(path);
  const shape = shapeOf(folder, outline, genai, config);
  try {
    const shared = outline.operators.has('GroupQueryAttention');
    const takes = takesOf(outline, shape, shared);
    return {
      graph,
      layout: shared ? 'genai' : 'growing',
      shape,
      takes,
      files: filesOf(folder, graph),
      limits: [...chosen(graph, others), ...limitsOf(outline, shared, takes)],
    };
  } catch (error) {
    throw new Error(`${path} is no decoder that this server runs: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

const jsonOf = <T extends object>(folder: string, name: string): T | null =>
  existsSync(join(folder, name)) ? readJson<T>(join(folder, name)) : null;

/** The file that genai_config.json names, if any. */
function namedBy(folder: string, genai: Genai | null): string | null {
  const named = genai?.model?.decoder?.filename;
  if (named === undefined) return null;
  if (typeof named === 'string' && /^\w[\w.-]*$/.test(named)) return named;
  throw new Error(
    `${join(folder, 'genai_config.json')}: model.decoder.filename is ${JSON.stringify(named)}; it must be a plain file name`,
  );
}

/** Sizes as the graph declares them; where it only names them, as the configs say. */
function shapeOf(
  folder: string,
  { inputs, outputs }: Outline,
  genai: Genai | null,
  config: Readonly<Record<string, unknown>> | null,
): Shape {
  const { model } = genai ?? {};
  const { decoder } = model ?? {};
  const kv = inputs.get('past_key_values.0.key')?.dims ?? [];
  const layers = [...inputs.keys()].filter((name) => /^past_key_values\.\d+\.key$/.test(name));
  const head = Number(config?.['hidden_size']) / Number(config?.['num_attention_heads']);
  const size = (what: string, ...said: readonly unknown[]): number => {
    const value = said.find((each) => Number.isSafeInteger(each) && Number(each) > 0);
    if (value !== undefined) return Number(value);
    throw new Error(`${folder}: neither the graph nor a config says its ${what}`);
  };
  const of = (name: string): unknown => config?.[name];
  return {
    layers: layers.length,
    kvHeads: size(
      'key-value heads',
      kv[1],
      decoder?.num_key_value_heads,
      of('num_key_value_heads'),
      of('num_attention_heads'),
    ),
    headDim: size('head size', kv[3], decoder?.head_size, of('head_dim'), head),
    vocab: size('vocabulary', outputs.get('logits')?.dims[2], model?.vocab_size, of('vocab_size')),
    context: size(
      'context length',
      model?.context_length,
      of('max_position_embeddings'),
      of('n_positions'),
      of('n_ctx'),
    ),
    ...(inputs.get('past_key_values.0.key')?.type === 'float16' ? { kv: 'float16' } : {}),
  };
}

const TAKEN = ['input_ids', 'attention_mask', 'position_ids', 'num_logits_to_keep'];
const BRANCH = 'use_cache_branch';

/** Checks every input and output. */
function takesOf({ inputs, outputs }: Outline, shape: Shape, shared: boolean): Takes {
  const past = shape.layers === 0 ? ['past_key_values.0.key'] : kvNames(shape);
  for (const name of ['input_ids', 'attention_mask']) demand('input', name, inputs, 2, 'int64');
  for (const name of past) {
    demand('input', name, inputs, 4, kvElement(shape));
    demand('output', presentName(name), outputs, 4, kvElement(shape));
  }
  demand('output', 'logits', outputs, 3, 'float32', 'float16');
  const supported = shared ? TAKEN : [...TAKEN, BRANCH];
  const given = new Set([...supported, ...past]);
  const unknown = [...inputs.keys()].find((name) => !given.has(name));
  if (unknown !== undefined)
    throw new Error(
      `its input ${unknown} is not supported; ${supported.join(', ')} and past_key_values.N.key and .value are`,
    );
  const [positions, keep] = [inputs.get('position_ids'), inputs.get('num_logits_to_keep')];
  if (positions !== undefined) demand('input', 'position_ids', inputs, 2, 'int64');
  if (keep !== undefined) demand('input', 'num_logits_to_keep', inputs, keep.dims.length, 'int64');
  if (inputs.has(BRANCH)) demand('input', BRANCH, inputs, 1, 'bool');
  return {
    positions: positions !== undefined,
    logitsToKeep: keep?.dims.map(() => 1) ?? null,
    cacheBranch: inputs.has(BRANCH),
    halfLogits: outputs.get('logits')?.type === 'float16',
  };
}

function demand(
  kind: 'input' | 'output',
  name: string,
  ports: ReadonlyMap<string, Described>,
  rank: number,
  ...types: readonly string[]
): void {
  const port = ports.get(name);
  if (port === undefined) throw new Error(`it has no ${kind} ${name}`);
  if (!types.includes(port.type) || port.dims.length !== rank)
    throw new Error(
      `its ${kind} ${name} is ${port.type} of ${port.dims.length} dims; only ${types.join(' or ')} of ${rank} is supported`,
    );
}

/** Scales that are found at run time, over all rows of a batch. */
const DYNAMIC = ['DynamicQuantizeLinear', 'DynamicQuantizeMatMul'];

function limitsOf({ operators }: Outline, shared: boolean, { cacheBranch }: Takes): string[] {
  const dynamic = DYNAMIC.find((name) => operators.has(name));
  return [
    'logits are computed at every position of a prompt',
    ...(shared
      ? []
      : ['KV is copied at every step, and rows of other lengths run apart: slower than an import']),
    ...(cacheBranch
      ? ['prompts are read token by token behind their first 32 (use_cache_branch)']
      : []),
    ...(dynamic === undefined
      ? []
      : [`its logits depend on what runs beside (${dynamic}): a seed does not fix the bytes`]),
  ];
}
