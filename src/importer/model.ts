/** What an import makes a graph of: a decoder with its adapters, or an encoder with a head. */

import type { GraphBuilder } from '../runtime/onnx/graph.ts';
import { readPair } from '../runtime/text/pair.ts';
import { openWeights, readJsonIn } from './checkpoint.ts';
import { buildDecoder } from './decoder.ts';
import { describeEncoder, isEncoder } from './encoder/families.ts';
import { buildEncoder } from './encoder/graph.ts';
import type { EncoderSpec } from './encoder/spec.ts';
import type { ImportOptions } from './import.ts';
import type { Manifest } from './pack.ts';
import type { TensorSource } from './safetensors.ts';
import { openSources } from './sources.ts';
import type { Spec } from './spec.ts';
import type { Weights } from './weights.ts';

export interface Model extends Disposable {
  /** What people call its architecture. */
  readonly family: string;
  /** The same in a sentence. */
  readonly architecture: string;
  readonly shape: Manifest['shape'];
  /** null: a vocabulary projection. */
  readonly head: 'scalar' | null;
  /** Whether each text is read whole: nothing of it is kept. */
  readonly whole: boolean;
  /** null: our own for decoders. */
  readonly layout: NonNullable<Manifest['layout']> | null;
  /** null: the graph has no input `steering`. */
  readonly steering: NonNullable<Manifest['steering']> | null;
  /** Size of the checkpoint's weights. */
  readonly bytes: number;
  /** KV of a token. */
  readonly kvBytes: number;
  /** What the runtime holds a second time, turned. */
  readonly transposedBytes: number;
  /** Throws an Error that names the tensor at fault. */
  build(): GraphBuilder;
}

/** Throws an Error that names the file, field, tensor or option at fault; then nothing is left open. */
export const openModel = (options: ImportOptions): Model =>
  isEncoder(readJsonIn(options.from, 'config.json')['model_type'])
    ? openEncoder(options)
    : openDecoder(options);

function openDecoder(options: ImportOptions): Model {
  const { weights = 'int8', layout = 'cached', hiddenStates, layerStates, steering } = options;
  if (options.label !== undefined)
    throw new Error('--label is for encoders whose head has several labels');
  const sources = openSources(options);
  const { spec } = sources;
  if (spec.head.kind === 'scalar' && layout !== 'cached') {
    sources[Symbol.dispose]();
    throw new Error(`a model with a scalar head has no ${layout} layout`);
  }
  if (layerStates === true && (spec.head.kind === 'scalar' || layout !== 'cached')) {
    sources[Symbol.dispose]();
    throw new Error('--layer-states is for models with a vocabulary, in the cached layout');
  }
  const { layers, kvHeads, headDim, vocab, context, hidden } = spec;
  const states = layerStates === true ? { states: hidden } : {};
  return {
    family: spec.family,
    architecture: decoderSentence(spec),
    shape: { layers: layers.length, kvHeads, headDim, vocab, context, ...states },
    head: spec.head.kind === 'scalar' ? 'scalar' : null,
    whole: spec.head.kind === 'scalar' && spec.head.evidence !== null,
    layout: layout === 'cached' ? null : layout,
    steering: steering === undefined ? null : { layer: steering, width: hidden },
    bytes: sources.bytes,
    kvBytes: 2 * layers.length * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT,
    transposedBytes: transposedBytes(spec, weights),
    build: () =>
      buildDecoder(spec, sources.weights, {
        weights,
        layout,
        hiddenStates: hiddenStates ?? false,
        layerStates: layerStates ?? false,
        steering: steering ?? null,
      }),
    [Symbol.dispose]: () => sources[Symbol.dispose](),
  };
}

/** A tied table is transposed for its product where it is not in blocks. */
function transposedBytes({ head, embedding, vocab, hidden }: Spec, weights: Weights): number {
  const tied = head.kind === 'language' && head.tensor === embedding.tensor;
  return tied && weights.startsWith('float') ? 4 * vocab * hidden : 0;
}

const decoderSentence = (s: Spec): string =>
  `A ${s.family} decoder: ${s.layers.length} layers of width ${s.hidden}, ${s.heads} attention heads over ${s.kvHeads} key-value heads of ${s.headDim}, ` +
  `feed-forward width ${s.ffn.width}, ${s.vocab} tokens, a context of ${s.context} tokens, ` +
  (s.head.kind === 'scalar'
    ? s.head.evidence === null
      ? 'a scalar head on the last token.'
      : `a head of width ${s.head.evidence.width} that sums up the states and log-probs of the answer's tokens and gives a probability.`
    : `${s.head.tensor === s.embedding.tensor ? 'tied' : 'separate'} embeddings.`);

function openEncoder(options: ImportOptions): Model {
  const { from, context = null, label = null, weights = 'int8' } = options;
  refuseOptions(options);
  const spec = describeEncoder(readJsonIn(from, 'config.json'), { context, label });
  readPair(readJsonIn(from, 'tokenizer.json'), `${from}: tokenizer.json`);
  const stored = openWeights(from);
  const { layers, heads, headDim, vocab } = spec;
  return {
    family: spec.family,
    architecture: encoderSentence(spec),
    shape: { layers: layers.length, kvHeads: heads, headDim, vocab, context: spec.context },
    head: 'scalar',
    whole: true,
    layout: 'encoder',
    steering: null,
    bytes: stored.bytes,
    kvBytes: 0,
    transposedBytes: 0,
    build: () => buildEncoder(spec, todaysNames(stored), weights),
    [Symbol.dispose]: () => stored[Symbol.dispose](),
  };
}

/** What only decoders have. */
function refuseOptions(options: ImportOptions): void {
  const { role, adapters = [], layout = 'cached', steering } = options;
  if (role !== 'reward')
    throw new Error(`${options.from} is an encoder: its role can be reward, given ${role}`);
  const asked = [
    ['--adapter', adapters.length > 0],
    ['--layout', layout !== 'cached'],
    ['--hidden-states', options.hiddenStates ?? false],
    ['--layer-states', options.layerStates ?? false],
    ['--steering', steering !== undefined],
  ] as const;
  const wrong = asked.find(([, is]) => is);
  if (wrong !== undefined)
    throw new Error(`${wrong[0]} is for decoders; ${options.from} is an encoder`);
}

/** The first files of BERT call a norm's gain gamma and its bias beta. */
function todaysNames(source: TensorSource): TensorSource {
  const today = (name: string): string =>
    name.replace(/\.gamma$/, '.weight').replace(/\.beta$/, '.bias');
  const storedAs = new Map(source.names.map((name) => [today(name), name]));
  const stored = (name: string): string => storedAs.get(name) ?? name;
  return {
    names: [...storedAs.keys()],
    shape: (name) => source.shape(stored(name)),
    read: (name, from, to) => source.read(stored(name), from, to),
  };
}

const SAYS = {
  number: 'is its logit',
  probability: "is its logit's sigmoid",
  log_odds: 'is what its logit says against the others: log p / (1 - p)',
} as const;

function encoderSentence({ head, layers, ...s }: EncoderSpec): string {
  const named = `label ${head.labels[head.label]} of ${head.labels.length}`;
  return (
    `A ${s.family} encoder: ${layers.length} layers of width ${s.hidden}, ${s.heads} attention heads of ${s.headDim}, ` +
    `feed-forward width ${s.ffn.width}, ${s.vocab} tokens, a context of ${s.context} tokens, ` +
    `a classification head; the score of ${named} ${SAYS[head.says]}.`
  );
}
