/**
 * What a config takes of memory, and of which device: weights, KV, workspace and caches. KV and caches are bounds,
 * given out as traffic asks for them; weights are there from the start.
 */

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { sum } from './core/math.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { Config, ModelEntry } from './ops/config.ts';
import { graphBytes, keepsKv, type Manifest } from './ops/manifest.ts';
import { lengthClasses } from './engine/classes.ts';
import type { LengthClass } from './engine/classes.ts';
import { placeOf, type Place } from './devices.ts';
import { keepsInt8 } from './kv_kind.ts';
import { describeModel } from './model_folder.ts';
import { rowsTaken } from './runtime/kv/device.ts';
import { copiesBytes } from './runtime/exports/growing_rows.ts';
import { kvBytes, rowWidth, shapeOf, type Shape } from './runtime/shape.ts';
import type { VocabularyGroup } from './vocabularies.ts';

/** Of one device. */
export interface MemoryPlan {
  readonly device: Place;
  /** What takes how many bytes, in words. */
  readonly parts: readonly (readonly [what: string, bytes: number])[];
  readonly bytes: number;
}

/** What decides the KV of a model. */
interface Keeping {
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
    sum(models.map((model) => model.kvBytes)),
  );
}

/** The rows that a model writes critiques in; null: the config gives it none. */
export function critiqueClass(
  { engine, models }: Config,
  name: string,
  context: number,
): LengthClass | null {
  const rows = models[name]!.critique_rows;
  return rows === 0 ? null : { rows, length: Math.min(engine.max_seq, context) };
}

/** Halves are floats in memory. */
const LOADED: Readonly<Record<string, number>> = { float16: 2 };

type Part = readonly [device: Place, what: string, bytes: number];

interface Placed {
  readonly place: Place;
  readonly manifest: Manifest;
}

/**
 * A plan for each device that models run on, the CPU first.
 * @throws ConfigError with the numbers if not one row of KV fits, or all of it is more than the budget
 */
export function memoryPlan(config: Config, groups: readonly VocabularyGroup[]): MemoryPlan[] {
  const { engine } = config;
  const models = new Map(
    Object.entries(config.models).map(([name, entry]): [string, Placed] => [
      name,
      { place: placeOf(entry), manifest: describeModel(entry) },
    ]),
  );
  const parts: Part[] = [
    ...[...models].map(([name, { place, manifest }]): Part => [
      place,
      `weights of ${name}`,
      graphBytes(manifest) * (LOADED[manifest.weights] ?? 1),
    ]),
    ...groups.flatMap((group) => groupParts(config, group, models)),
    ...[...models.keys()].flatMap((name) => criticParts(config, name, models)),
    ...Object.entries(config.models).map(([name, entry]): Part => [
      'cpu',
      `latent head of ${name}`,
      headBytes(entry),
    ]),
    ...keptParts(config, [...models.values()]),
    ['cpu', 'prompts that may come again', engine.prefix_bytes],
    ['cpu', 'compiled rules, in two processes', 2 * engine.rule_bytes],
    ['cpu', 'scores that are remembered', engine.reward_bytes],
  ];
  const devices = new Set<Place>(['cpu', ...parts.map(([device]) => device)]);
  return [...devices].map((device) => planOf(config, device, parts));
}

function planOf({ file, engine }: Config, device: Place, parts: readonly Part[]): MemoryPlan {
  const own = parts.flatMap(([on, what, bytes]) =>
    on === device && bytes > 0 ? [[what, bytes] as const] : [],
  );
  const bytes = sum(own.map(([, each]) => each));
  const plan: MemoryPlan = { device, parts: own, bytes };
  const setting = device === 'cpu' ? 'memory_bytes' : 'device_memory_bytes';
  const budget = engine[setting];
  if (budget > 0 && bytes > budget)
    throw new ConfigError(
      `${file}: the models take up to ${megabytes(bytes)}, and engine.${setting} is ${megabytes(budget)}; ` +
        `smaller engine.kv_slots, engine.max_seq, engine.kv_bytes or engine.prefix_bytes take less, and so do fewer models\n${planText(plan)}`,
    );
  return plan;
}

/** Equal shares of the rewards that keep KV, where they run. */
function keptParts({ engine }: Config, models: readonly Placed[]): Part[] {
  const keeping = models.filter(({ manifest }) => keepsKv(manifest)).map(({ place }) => place);
  return [...new Set(keeping)].map((device) => [
    device,
    'KV that rewards keep',
    (engine.reward_kv_bytes * keeping.filter((on) => on === device).length) / keeping.length,
  ]);
}

/** At most: what is stored as halves is twice as large in memory. */
const headBytes = ({ path, latent_head: file }: ModelEntry): number =>
  file === undefined ? 0 : 2 * statSync(join(path, file)).size;

function shapeIn(config: Config, model: string, placed: ReadonlyMap<string, Placed>): Shape {
  const { manifest } = placed.get(model)!;
  const { folder, shape = shapeOf(folder) } = manifest;
  return keepsInt8(config.models[model]!, manifest) ? { ...shape, kv: 'int8' } : shape;
}

const keepingOf = (shape: Shape): Keeping => ({ context: shape.context, kvBytes: kvBytes(shape) });

/** Of the engine of a vocabulary. */
function groupParts(
  config: Config,
  { name, share, models }: VocabularyGroup,
  placed: ReadonlyMap<string, Placed>,
): Part[] {
  const keeping = models.map((model) => keepingOf(shapeIn(config, model, placed)));
  const classes = classesFor(config, share, keeping);
  return partsOf(config, { name, models, classes }, placed);
}

/** Of the engine that a judge writes critiques with. */
function criticParts(config: Config, model: string, placed: ReadonlyMap<string, Placed>): Part[] {
  if (config.models[model]!.critique_rows === 0) return [];
  const { context } = shapeIn(config, model, placed);
  const classes = [critiqueClass(config, model, context)!];
  return partsOf(
    config,
    { name: `critiques by ${model}`, use: ' for critiques', models: [model], classes },
    placed,
  );
}

interface Decoded {
  readonly name: string;
  /** What its rows are for; left out: for what requests draw. */
  readonly use?: string;
  readonly models: readonly string[];
  readonly classes: readonly LengthClass[];
}

/** KV rows of an engine's models, and the logits of each row: of a step and of a prompt, and what the tail makes of them. */
function partsOf(
  config: Config,
  { name, use = '', models, classes }: Decoded,
  placed: ReadonlyMap<string, Placed>,
): Part[] {
  const manifests = models.map((model) => placed.get(model)!.manifest);
  const shapes = models.map((model) => shapeIn(config, model, placed));
  const keeping = shapes.map(keepingOf);
  const places = models.map((model) => placed.get(model)!.place);
  const rows = sum(classes.map((each) => each.rows));
  const longest = Math.max(...classes.map((each) => each.length));
  const said = classes.map((each) => `${each.rows} of ${each.length} tokens`).join(', ');
  const width = sum(shapes.map(rowWidth));
  const logits = rows * Float32Array.BYTES_PER_ELEMENT * (2 * width + 2 * shapes[0]!.vocab);
  const growing = manifests.map(({ layout }) => layout === 'growing');
  /** KV that grows is the host's: it is copied to the device for each run. */
  const kvPlaces = places.map((place, i): Place => (growing[i] ? 'cpu' : place));
  return [
    ...[...new Set(kvPlaces)].map((device): Part => {
      const here = models.filter((_, i) => kvPlaces[i] === device);
      const perPosition = sum(
        keeping.map((each, i) => (kvPlaces[i] === device ? each.kvBytes : 0)),
      );
      const taken = (held: number): number => (device === 'cpu' ? held : rowsTaken(held));
      const positions = sum(classes.map((each) => taken(each.rows) * each.length));
      return [device, `KV rows of ${here.join(', ')}${use}: ${said}`, positions * perPosition];
    }),
    ['cpu', `workspace of ${name}: logits of ${rows} rows`, logits],
    ...models.map((model, i): Part => [
      'cpu',
      `steering of ${model}, of ${rows} rows`,
      rows * Float32Array.BYTES_PER_ELEMENT * (manifests[i]!.steering?.width ?? 0),
    ]),
    ...models.map((model, i): Part => [
      'cpu',
      `KV of ${model}, copied for each run`,
      growing[i] ? copiesBytes(shapes[i]!, longest) : 0,
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
