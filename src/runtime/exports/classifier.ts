/**
 * Models with a classification head that other tools exported (Optimum, transformers.js), as rewards: `logits` of a
 * whole text, of which one label is the score. Texts are read one by one, so none depends on what it is read beside.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { logSumExp, sigmoid } from '../../core/math.ts';
import type { ScoreModel } from '../../core/model.ts';
import type { Token } from '../../core/tree.ts';
import type { Device } from '../devices/device.ts';
import { chosen, filesOf, findGraph } from './files.ts';
import { intoFloats } from '../ort/halves.ts';
import { readJson } from '../json.ts';
import { labelOf, PROBLEMS, type Says } from './labels.ts';
import type { OrtSession } from '../ort/ort.ts';
import { outlineOf, type Described } from '../onnx/outline.ts';
import { checkTokens } from '../padded.ts';
import { readPair, typesOf, type Pair } from '../text/pair.ts';
import type { Shape } from '../shape.ts';
import { expectScore, tryOut } from '../trial.ts';

export interface Classifier {
  /** The graph's file within the folder. */
  readonly graph: string;
  readonly files: Readonly<Record<string, number>>;
  /** What a user of it should know, a sentence without its end each. */
  readonly limits: readonly string[];
  /** A prompt and an answer are two texts, as encoders read them; null: one goes on from the other, as decoders do. */
  readonly pair: Pair | null;
  /** It has no KV, and no heads that anybody is told of. */
  readonly shape: Shape;
  readonly labels: readonly string[];
  /** Index of the label that is the score. */
  readonly label: number;
  readonly says: Says;
  /** Names of the graph's inputs. */
  readonly inputs: ReadonlySet<string>;
  readonly halfLogits: boolean;
}

/** What the config of a server says of the folder. */
interface AskedOf {
  /** The graph's file in the folder; left out: the one with a usual name. */
  readonly graph?: string | undefined;
  /** Name or index of the label that is the score; left out: the only one. */
  readonly label?: string | undefined;
}

const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'];

/**
 * What a folder holds, where that is such a model: it has no KV, and its logits are of texts, not of their tokens. Else null.
 * @throws Error that names the folder, and what of its files is missing or not supported
 */
export function readClassifier(folder: string, asked: AskedOf): Classifier | null {
  if (existsSync(join(folder, 'genai_config.json'))) return null;
  const { graph, others } = findGraph(folder, asked.graph ?? null);
  const path = join(folder, graph);
  const { inputs, outputs } = outlineOf(path);
  const logits = outputs.get('logits');
  if (inputs.has('past_key_values.0.key') || logits?.dims.length !== 2) return null;
  checkPorts(path, inputs, logits);
  const config = readJson<Config>(join(folder, 'config.json'));
  const labels = labelsOf(config, logits.dims[1]);
  const problem = PROBLEMS.find((one) => one === (config.problem_type ?? null));
  if (problem === undefined)
    throw new Error(`${folder}: problem_type is ${JSON.stringify(config.problem_type)}`);
  const context = contextOf(folder, config);
  const { label, says } = labelOf(labels, problem, asked.label ?? null, 'models.NAME.label');
  const pair = pairOf(folder);
  return {
    graph,
    files: filesOf(folder, graph),
    limits: [
      ...chosen(graph, others),
      'texts are read one by one, whole',
      pair === null
        ? 'an answer goes on from its prompt, as a decoder reads it'
        : 'a prompt and an answer are read as a pair of texts',
      ...(labels.length > 1
        ? [`its score is label ${label} (${labels[label]}): ${SAID[says]}`]
        : []),
    ],
    pair,
    shape: {
      layers: 0,
      kvHeads: 0,
      headDim: 0,
      vocab: counted(folder, config, 'vocab_size'),
      context,
    },
    labels,
    label,
    says,
    inputs: new Set(inputs.keys()),
    halfLogits: logits.type === 'float16',
  };
}

const SAID: Readonly<Record<Says, string>> = {
  number: 'its logit',
  probability: 'the sigmoid of its logit',
  log_odds: 'its log odds against all others',
};

function checkPorts(path: string, inputs: ReadonlyMap<string, Described>, logits: Described): void {
  const refuse = (what: string): never => {
    throw new Error(`${path} is no classifier that this server runs: ${what}`);
  };
  for (const [name, { type, dims }] of inputs) {
    if (!INPUTS.includes(name))
      refuse(`its input ${name} is not supported; ${INPUTS.join(', ')} are`);
    if (type !== 'int64' || dims.length !== 2)
      refuse(`its input ${name} is ${type} of ${dims.length} dims; only int64 of 2 is supported`);
  }
  if (logits.type !== 'float32' && logits.type !== 'float16')
    refuse(`its output logits is ${logits.type}; only float32 and float16 are supported`);
}

interface Config {
  readonly problem_type?: unknown;
  readonly id2label?: Readonly<Record<string, string>>;
  readonly vocab_size?: unknown;
  readonly max_position_embeddings?: unknown;
}

/** Names that the config has; of a graph that says how many there are, those it leaves out are LABEL_0 and on. */
function labelsOf({ id2label = {} }: Config, width: number | string | undefined): string[] {
  const count = typeof width === 'number' ? width : Math.max(Object.keys(id2label).length, 1);
  return Array.from({ length: count }, (_, i) => id2label[i] ?? `LABEL_${i}`);
}

function counted(
  folder: string,
  config: Config,
  name: 'vocab_size' | 'max_position_embeddings',
): number {
  const value = config[name];
  if (Number.isSafeInteger(value) && Number(value) > 0) return Number(value);
  throw new Error(
    `${join(folder, 'config.json')}: ${name} is ${JSON.stringify(value)}; it must be a whole number above zero`,
  );
}

/** What its tokenizer was made for is less than the positions there are: RoBERTa's first two belong to no token. */
function contextOf(folder: string, config: Config): number {
  const positions = counted(folder, config, 'max_position_embeddings');
  const path = join(folder, 'tokenizer_config.json');
  const { model_max_length: most } = readJson<{ readonly model_max_length?: unknown }>(path);
  return typeof most === 'number' && most >= 1 ? Math.min(positions, Math.floor(most)) : positions;
}

/** Encoders close the second text; tokenizers of decoders only begin it, if they join texts at all. */
function pairOf(folder: string): Pair | null {
  const file = join(folder, 'tokenizer.json');
  const json = readJson<{ readonly post_processor?: unknown }>(file);
  try {
    const pair = readPair(json, file);
    return pair.after.length > 0 ? pair : null;
  } catch {
    return null;
  }
}

/**
 * Loads the graph, and tries it once.
 * @throws Error that names the file, and carries ORT's message
 */
export function loadClassifier(
  device: Device,
  folder: string,
  name: string,
  asked: AskedOf,
): ScoreModel & Disposable {
  const model = readClassifier(folder, asked);
  if (model === null) throw new Error(`${folder} is no classifier of texts`);
  const path = join(folder, model.graph);
  const session = device.session(path);
  const score = (text: readonly Token[]): number =>
    saidOf(model, logitsOf(device, session, model, text));
  tryOut(session, `${path} is no classifier of texts`, () => expectScore(score([0, 0])));
  return {
    name,
    context: model.shape.context,
    missing: (row) => row.length,
    readOn: () => false,
    score: (rows) => Float32Array.from(rows, score),
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

function logitsOf(
  { ort }: Device,
  session: OrtSession,
  { pair, labels, inputs, shape, halfLogits }: Classifier,
  text: readonly Token[],
): Float32Array {
  checkTokens(text, text.length, shape);
  const values: Readonly<Record<string, readonly number[]>> = {
    input_ids: text,
    attention_mask: text.map(() => 1),
    position_ids: [...text.keys()],
    token_type_ids: pair === null ? text.map(() => 0) : typesOf(text, pair),
  };
  const given = [...inputs].map((input) => {
    const data = BigInt64Array.from(values[input]!, BigInt);
    return [input, ort.tensor('int64', [1, text.length], data)] as const;
  });
  const floats = new Float32Array(labels.length);
  const halves = new Uint16Array(labels.length);
  using logits = halfLogits
    ? ort.tensor('float16', [1, labels.length], halves)
    : ort.tensor('float32', [1, labels.length], floats);
  try {
    session.bind(Object.fromEntries(given), { logits }).run();
  } finally {
    for (const [, tensor] of given) tensor[Symbol.dispose]();
  }
  if (halfLogits) intoFloats(halves, floats);
  return floats;
}

function saidOf({ label, says }: Classifier, logits: Float32Array): number {
  const logit = logits[label]!;
  if (says === 'number') return logit;
  if (says === 'probability') return sigmoid(logit);
  return logit - logSumExp([...logits].filter((_, i) => i !== label));
}
