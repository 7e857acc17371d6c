/** Makes a model folder from a Hugging Face checkpoint: the graph, the tokenizer, a manifest and a model card. */

import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { GraphBuilder } from '../runtime/onnx/graph.ts';
import { loadCodec, loadPairCodec } from '../runtime/text/tokenizer.ts';
import { modelCard } from './card.ts';
import { readFileIn, readJsonIn } from './checkpoint.ts';
import { openModel, type Model } from './model.ts';
import { checkTarget, writePack, type Content, type Manifest } from './pack.ts';
import type { Layout } from './ports.ts';
import type { Asked } from './sources.ts';
import { checkTokenizer } from './tokenizer.ts';
import type { Weights } from './weights.ts';

/** The checkpoint's folder also has tokenizer.json, tokenizer_config.json and, if any, facts.json. */
export interface ImportOptions extends Asked {
  /** The model folder to write; its last part is the model's name. */
  readonly to: string;
  /** Default: int8. */
  readonly weights?: Weights;
  /** Default: cached, the one this server runs. */
  readonly layout?: Layout;
  /** Default: none. */
  readonly hiddenStates?: boolean;
  /** Whether it tells the states of all its layers. Default: no. */
  readonly layerStates?: boolean;
  /** The layer after which `steering` is added. Default: no such input. */
  readonly steering?: number;
  /** Encoders only: name or index of the label that is the score. Default: the only one. */
  readonly label?: string;
  /** Default: complete for rewards, prefix for value models, which are trained on every place of a text. */
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
  readonly model: Model;
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
  const { from, to, force = false } = options;
  checkTarget(to, force);
  const model = openModel(options);
  try {
    checkTokenizer(readJsonIn(from, 'tokenizer.json'), from, model.shape.vocab);
    const g = model.build();
    const described = describedOf(options, model);
    const { files, sizes } = filesOf(from, g, cardOf(options, model, described));
    if (model.layout === 'encoder') loadPairCodec(from);
    else loadCodec(from); // what cannot be spelled, or a template that loops, could not be served
    return {
      model,
      described,
      sizes,
      sourceBytes: model.bytes,
      write: () => writePack(to, files, described, force),
      [Symbol.dispose]: () => model[Symbol.dispose](),
    };
  } catch (error) {
    model[Symbol.dispose]();
    throw error;
  }
}

type Described = Prepared['described'];

function describedOf(options: ImportOptions, model: Model): Described {
  const { head, whole, layout, steering, shape } = model;
  const { from, role, weights = 'int8', created } = options;
  const reads = options.reads ?? READS[role];
  return {
    role,
    ...(head === null ? {} : { head }),
    ...(reads === undefined ? {} : { reads }),
    ...(whole ? { whole: true } : {}),
    weights: STORED[weights],
    ...(layout === null ? {} : { layout }),
    ...(steering === null ? {} : { steering }),
    shape,
    created,
    facts: existsSync(join(from, 'facts.json')) ? readJsonIn(from, 'facts.json') : {},
  };
}

/** What is said where nobody says it; the other roles judge nothing by themselves. */
const READS: Readonly<Partial<Record<Manifest['role'], 'prefix' | 'complete'>>> = {
  reward: 'complete',
  value: 'prefix',
};

const cardOf = (options: ImportOptions, model: Model, described: Described): string =>
  modelCard({
    ...described,
    name: basename(resolve(options.to)),
    architecture: model.architecture,
    context: model.shape.context,
    reads: described.reads,
    adapters: options.adapters?.length ?? 0,
    license: options.license ?? null,
    recipe: options.recipe ?? null,
  });

const STORED: Readonly<Record<Weights, Manifest['weights']>> = {
  float32: 'float32',
  float16: 'float16',
  int8: 'int8-block32',
  int4: 'int4-block32',
};

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
