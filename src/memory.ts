/**
 * What a config takes of memory, and of which device: weights, KV, workspace and caches. KV and caches are bounds,
 * given out as traffic asks for them; weights are there from the start.
 */

import { ConfigError, reason } from './ops/config.ts';
import type { Config, ModelEntry } from './ops/config.ts';
import { lengthClasses } from './engine/classes.ts';
import type { LengthClass } from './engine/classes.ts';
import { describeModel } from './model_folder.ts';
import { copiesBytes } from './runtime/growing_rows.ts';
import { kvBytes, shapeOf, type Shape } from './runtime/shape.ts';
import type { VocabularyGroup } from './vocabularies.ts';

export interface MemoryPlan {
  readonly device: 'cpu';
  /** What takes how many bytes, in words. */
  readonly parts: readonly (readonly [what: string, bytes: number])[];
  readonly bytes: number;
}

/** What decides the KV of a model. */
export interface Keeping {
  /** Longest sequence it can read. */
  readonly context: number;
  /** Bytes of KV per position. */
  readonly kvBytes: number;
}

/** The rows of an engine over these models, which has this share of the KV memory. Throws an Error with the numbers if not one fits. */
export function classesOf(
  { max_seq, kv_slots, kv_bytes }: Config['engine'],
  share: number,
  models: readonly Keeping[],
): LengthClass[] {
  return lengthClasses(
    Math.min(max_seq, Math.max(...models.map(({ context }) => context))),
    kv_slots,
    kv_bytes * share,
    models.reduce((sum, model) => sum + model.kvBytes, 0),
  );
}

/** Halves are floats in memory. */
const LOADED: Readonly<Record<string, number>> = { float16: 2 };

/** @throws ConfigError with the numbers if not one row of KV fits, or all of it is more than the budget */
export function memoryPlan(config: Config, groups: readonly VocabularyGroup[]): MemoryPlan {
  const { engine } = config;
  const models = Object.entries(config.models);
  const parts: [string, number][] = [
    ...models.map(([name, entry]): [string, number] => [`weights of ${name}`, weightsOf(entry)]),
    ...groups.flatMap((group) => partsOf(config, group)),
    ['KV that rewards keep', models.some(([, entry]) => keeps(entry)) ? engine.reward_kv_bytes : 0],
    ['prompts that may come again', engine.prefix_bytes],
    ['compiled rules, in two processes', 2 * engine.rule_bytes],
    ['scores that are remembered', engine.reward_bytes],
  ];
  const taken = parts.filter(([, bytes]) => bytes > 0);
  const bytes = taken.reduce((sum, [, each]) => sum + each, 0);
  const plan: MemoryPlan = { device: 'cpu', parts: taken, bytes };
  const budget = engine.memory_bytes;
  if (budget > 0 && bytes > budget)
    throw new ConfigError(
      `${config.file}: the models take up to ${megabytes(bytes)}, and engine.memory_bytes is ${megabytes(budget)}; ` +
        `smaller engine.kv_slots, engine.max_seq, engine.kv_bytes or engine.prefix_bytes take less, and so do fewer models\n${planText(plan)}`,
    );
  return plan;
}

function weightsOf(entry: ModelEntry): number {
  const { files, weights } = describeModel(entry);
  const graph = Object.entries(files).filter(([name]) => name.includes('.onnx'));
  return graph.reduce((sum, [, { bytes }]) => sum + bytes, 0) * (LOADED[weights] ?? 1);
}

function keeps(entry: ModelEntry): boolean {
  const { head, whole } = describeModel(entry);
  return head !== undefined && !whole;
}

/** KV rows of a vocabulary's models, and the logits of each row: of a step and of a prompt, and what the tail makes of them. */
function partsOf(config: Config, { name, share, models }: VocabularyGroup): [string, number][] {
  const manifests = models.map((model) => describeModel(config.models[model]!));
  const shapes = manifests.map(({ folder, shape }): Shape => shape ?? shapeOf(folder));
  const keeping = shapes.map((shape) => ({ context: shape.context, kvBytes: kvBytes(shape) }));
  const classes = classesFor(config, share, keeping);
  const perPosition = keeping.reduce((sum, model) => sum + model.kvBytes, 0);
  const rows = classes.reduce((sum, each) => sum + each.rows, 0);
  const longest = Math.max(...classes.map((each) => each.length));
  const said = classes.map((each) => `${each.rows} of ${each.length} tokens`).join(', ');
  const width = shapes.reduce((sum, { vocab }) => sum + vocab, 0);
  const logits = rows * Float32Array.BYTES_PER_ELEMENT * (2 * width + 2 * shapes[0]!.vocab);
  return [
    [
      `KV rows of ${models.join(', ')}: ${said}`,
      classes.reduce((sum, each) => sum + each.rows * each.length * perPosition, 0),
    ],
    [`workspace of ${name}: logits of ${rows} rows`, logits],
    ...models.map((model, i): [string, number] => [
      `KV of ${model}, copied for each run`,
      manifests[i]!.layout === 'growing' ? copiesBytes(shapes[i]!, longest) : 0,
    ]),
  ];
}

function classesFor(config: Config, share: number, keeping: readonly Keeping[]): LengthClass[] {
  try {
    return classesOf(config.engine, share, keeping);
  } catch (error) {
    throw new ConfigError(`${config.file}: ${reason(error)}`);
  }
}

/** One line for each part, in MB. */
export function planText({ device, parts, bytes }: MemoryPlan): string {
  const line = (what: string, each: number): string => `  ${megabytes(each).padStart(10)}  ${what}`;
  return [
    `memory on ${device}, at most:`,
    ...parts.map(([what, each]) => line(what, each)),
    line('in all, the runtime and the server’s own heap aside', bytes),
  ].join('\n');
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;
