/** Makes a model folder from a Hugging Face checkpoint: the graph, the tokenizer, a manifest and a model card. */

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { GraphBuilder } from '../runtime/onnx.ts';
import { modelCard } from './card.ts';
import { openWeights, readFileIn, readJsonIn } from './checkpoint.ts';
import { buildDecoder } from './decoder.ts';
import { describe } from './families/index.ts';
import { checkTarget, writePack, type Content, type Manifest, type Role } from './pack.ts';
import type { Layout } from './ports.ts';
import type { TensorFile } from './safetensors.ts';
import type { Spec } from './spec.ts';
import { checkTokenizer } from './tokenizer.ts';
import type { Weights } from './weights.ts';

export interface ImportOptions {
  /** A folder with config.json, weights as safetensors, tokenizer.json, tokenizer_config.json and, if any, facts.json. */
  readonly from: string;
  /** The model folder to write; its last part is the model's name. */
  readonly to: string;
  readonly role: Role;
  /** Default: int8. */
  readonly weights?: Weights;
  /** Default: cached, the one this server runs. */
  readonly layout?: Layout;
  /** Longest sequence. Default: the checkpoint's. */
  readonly context?: number;
  /** Default: none. */
  readonly hiddenStates?: boolean;
  /** The layer after which `steering` is added. Default: no such input. */
  readonly steering?: number;
  /** Rewards only. Default: complete. */
  readonly reads?: 'prefix' | 'complete';
  /** SPDX identifier of the model's licence, for the card. */
  readonly license?: string;
  /** Where its training is described, for the card. */
  readonly recipe?: string;
  /** Replace a model folder that is there. Default: refuse. */
  readonly force?: boolean;
  /** Unix seconds. */
  readonly created: number;
}

/** An import that was checked as far as it can be without reading weights. */
export interface Prepared extends Disposable {
  readonly spec: Spec;
  readonly described: Omit<Manifest, 'format' | 'name' | 'files'>;
  /** Sizes of the files to be written, the manifest aside. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Size of the checkpoint's weights. */
  readonly sourceBytes: number;
  /** Writes the folder. Yields the bytes written so far. */
  write(): Generator<number, Manifest>;
}

const DATA = 'model.onnx_data'; // the name that transformers.js looks for
/** A graph of up to this size is one file. */
const MAX_SINGLE_BYTES = 2 ** 27;
const COPIED = ['config.json', 'tokenizer.json', 'tokenizer_config.json'];
const COPIED_IF_THERE = ['generation_config.json', 'chat_template.jinja'];

/** Imports a checkpoint and returns the manifest. Throws an Error that says which file or field is at fault; then nothing is written. */
export function importModel(options: ImportOptions): Manifest {
  using prepared = prepareImport(options);
  const writing = prepared.write();
  for (;;) {
    const { done, value } = writing.next();
    if (done === true) return value;
  }
}

/** Reads everything but the weights, and builds the graph. Throws as `importModel` does. */
export function prepareImport(options: ImportOptions): Prepared {
  const { from, to, role, weights = 'int8', layout = 'cached' } = options;
  checkTarget(to, options.force ?? false);
  const source = openWeights(from);
  try {
    const spec = specOf(options, source);
    checkTokenizer(readJsonIn(from, 'tokenizer.json'), from, spec.vocab);
    const g = buildDecoder(spec, source, {
      weights,
      layout,
      hiddenStates: options.hiddenStates ?? false,
      steering: options.steering ?? null,
    });
    const facts = existsSync(join(from, 'facts.json')) ? readJsonIn(from, 'facts.json') : {};
    const described = {
      role,
      ...(spec.head.kind === 'scalar' ? { head: 'scalar' as const } : {}),
      ...(role === 'reward' ? { reads: options.reads ?? ('complete' as const) } : {}),
      weights: STORED[weights],
      ...(layout === 'genai' ? { layout } : {}),
      shape: shapeOf(spec),
      created: options.created,
      facts,
    };
    const card = modelCard({
      ...described,
      name: basename(resolve(to)),
      spec,
      reads: described.reads,
      license: options.license ?? null,
      recipe: options.recipe ?? null,
    });
    const { files, sizes } = filesOf(from, g, card);
    return {
      spec,
      described,
      sizes,
      sourceBytes: source.bytes,
      write: () => writePack(to, files, described, options.force),
      [Symbol.dispose]: () => source[Symbol.dispose](),
    };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

const STORED: Readonly<Record<Weights, Manifest['weights']>> = {
  float32: 'float32',
  float16: 'float16',
  int8: 'int8-block32',
  int4: 'int4-block32',
};

const shapeOf = ({ layers, kvHeads, headDim, vocab, context }: Spec): Manifest['shape'] => ({
  layers: layers.length,
  kvHeads,
  headDim,
  vocab,
  context,
});

function specOf(
  { from, role, context, layout = 'cached' }: ImportOptions,
  source: TensorFile,
): Spec {
  const hasValueHead = source.names.includes('v_head.summary.weight');
  const spec = describe(readJsonIn(from, 'config.json'), {
    context: context ?? null,
    valueHead: hasValueHead && (role === 'reward' || role === 'value'),
  });
  if (spec.head.kind === 'scalar' && role !== 'reward' && role !== 'value')
    throw new Error(`${from} has a scalar head: its role can be reward or value, given ${role}`);
  if (spec.head.kind !== 'scalar' && role === 'value')
    throw new Error(`${from} has no scalar head: its role cannot be value`);
  if (spec.head.kind === 'scalar' && layout !== 'cached')
    throw new Error(`a model with a scalar head has no ${layout} layout`);
  return spec;
}

function filesOf(from: string, g: GraphBuilder, card: string) {
  const graph: Record<string, Content> = {};
  const sizes: Record<string, number> = {};
  if (g.stored() > MAX_SINGLE_BYTES) {
    const { model, data, dataBytes } = g.split(DATA);
    graph['model.onnx'] = model;
    graph[DATA] = data;
    sizes['model.onnx'] = model.length;
    sizes[DATA] = dataBytes;
  } else {
    graph['model.onnx'] = late(() => g.bytes());
    sizes['model.onnx'] = g.stored(); // and a few kilobytes of names
  }
  const copied = [...COPIED, ...COPIED_IF_THERE.filter((name) => existsSync(join(from, name)))];
  const files: Record<string, Content> = {
    ...graph,
    ...Object.fromEntries(copied.map((name) => [name, readFileIn(from, name)])),
    'README.md': Buffer.from(card),
  };
  for (const [name, content] of Object.entries(files))
    if (content instanceof Uint8Array) sizes[name] = content.length;
  return { files, sizes };
}

const late = (make: () => Uint8Array): Iterable<Uint8Array> => ({
  *[Symbol.iterator]() {
    yield make();
  },
});
