/**
 * LoRA adapters in PEFT's layout (Hu et al. 2021), merged while weights are read: W + alpha / r * B A. What an
 * adapter_config.json asks for beside that is refused by name.
 */

import { fileIn, readJsonIn } from './checkpoint.ts';
import { Fields } from './fields.ts';
import { openSafetensors, type TensorSource } from './safetensors.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

export interface Adapter extends Disposable {
  /** Size of its weights. */
  readonly bytes: number;
  /** It was trained with a head of its own for one label. */
  readonly classifies: boolean;
  /** The source with the adapter in it. `turned`: weights are stored as [inputs, outputs]. */
  into(source: TensorSource, turned: boolean): TensorSource;
}

interface Settings {
  readonly classifies: boolean;
  readonly fanInFanOut: boolean;
  /** Modules that were trained whole. */
  readonly saved: readonly string[];
  /** Ends of the names of the modules that have a pair; null: any. */
  readonly targets: readonly string[] | null;
  rank(module: string): number;
  scale(module: string): number;
}

/** Opens an adapter. Throws an Error that names the file, and the setting or tensor, that is not understood. */
export function openAdapter(folder: string): Adapter {
  const settings = parseSettings(readJsonIn(folder, CONFIG));
  const file = openSafetensors(fileIn(folder, WEIGHTS));
  return {
    bytes: file.bytes,
    classifies: settings.classifies,
    into: (source, turned) => merge(source, file, settings, turned),
    [Symbol.dispose]: () => file[Symbol.dispose](),
  };
}

function parseSettings(raw: unknown): Settings {
  const f = new Fields(raw, CONFIG);
  f.oneOf('peft_type', ['LORA']);
  refuseVariants(f);
  const [r, alpha] = [f.count('r'), f.positive('lora_alpha')];
  const ranks = pattern(f, 'rank_pattern');
  const alphas = pattern(f, 'alpha_pattern');
  const root = f.flag('use_rslora', false); // Kalajdzievski 2023
  const all = f.get('target_modules') === 'all-linear';
  const rank = (module: string): number => ranks(module) ?? r;
  const saved = f.has('modules_to_save') ? names(f, 'modules_to_save') : [];
  const settings: Settings = {
    classifies: f.oneOf('task_type', ['CAUSAL_LM', 'SEQ_CLS', null]) === 'SEQ_CLS',
    fanInFanOut: f.flag('fan_in_fan_out', false),
    saved,
    targets: all ? null : names(f, 'target_modules'),
    rank,
    scale: (module) => (alphas(module) ?? alpha) / (root ? Math.sqrt(rank(module)) : rank(module)),
  };
  f.done();
  return settings;
}

/** Variants that compute something else, or that changed the base while they trained. */
function refuseVariants(f: Fields): void {
  for (const name of ['use_dora', 'use_qalora', 'use_bdlora', 'lora_bias']) f.only(name, false);
  f.only('bias', 'none');
  f.only('init_lora_weights', true, false, 'gaussian', 'orthogonal', 'eva');
  for (const name of [
    'layer_replication',
    'trainable_token_indices',
    'alora_invocation_tokens',
    'target_parameters',
    'exclude_modules',
    'megatron_config',
    'corda_config',
    'lora_ga_config',
    'arrow_config',
  ])
    f.only(name);
  f.object('loftq_config')?.done();
  // Which modules have a pair is seen from the tensors.
  f.ignore('layers_to_transform', 'layers_pattern');
  f.ignore('lora_dropout', 'inference_mode', 'auto_mapping', 'base_model_name_or_path', 'revision');
  f.ignore('peft_version', 'megatron_core', 'runtime_config', 'eva_config', 'qalora_group_size');
  f.ignore('ensure_weight_tying', 'modules_to_save');
}

function names(f: Fields, field: string): readonly string[] {
  const value = f.get(field);
  const isName = (item: unknown): item is string =>
    typeof item === 'string' && /^[\w.]+$/.test(item);
  return Array.isArray(value) && value.every(isName)
    ? value
    : f.refuse(field, 'a list of module names');
}

const endsIn = (module: string, name: string): boolean =>
  module === name || module.endsWith(`.${name}`);

/** Values for modules by the end of their names. PEFT reads the keys as regular expressions; only names are taken here. */
function pattern(f: Fields, field: string): (module: string) => number | undefined {
  const entries = Object.entries(f.get(field) ?? {});
  for (const [key, value] of entries)
    if (!/^[\w.]+$/.test(key) || typeof value !== 'number' || !(value > 0))
      f.refuse(field, 'numbers by plain module names');
  return (module) => entries.find(([key]) => endsIn(module, key))?.[1] as number | undefined;
}

/** The tensors of an adapter, by the base's tensor that they change. */
interface Pairs {
  readonly a: Map<string, string>;
  readonly b: Map<string, string>;
  /** Tensors that take the place of the base's. */
  readonly whole: Map<string, string>;
}

function pairsOf(file: TensorSource, { saved, targets }: Settings): Pairs {
  const pairs: Pairs = { a: new Map(), b: new Map(), whole: new Map() };
  for (const name of file.names) {
    const [, module, half] =
      /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/.exec(name) ?? [];
    if (module !== undefined) {
      if (targets !== null && !targets.some((target) => endsIn(module, target)))
        throw new Error(`${WEIGHTS}: tensor ${name} is of no module in target_modules`);
      (half === 'A' ? pairs.a : pairs.b).set(`${module}.weight`, name);
      continue;
    }
    const [, whole] = /^base_model\.model\.([^.].*)$/.exec(name) ?? [];
    const base = whole?.replace(/\.modules_to_save(\.default)?\./, '.');
    const isSaved = saved.some(
      (part) => base !== undefined && endsIn(base.replace(/\.\w+$/, ''), part),
    );
    if (base === undefined || !isSaved || base.includes('lora_'))
      throw new Error(`${WEIGHTS}: tensor ${name} is not understood`);
    pairs.whole.set(base, name);
  }
  for (const [one, other] of [[pairs.a, pairs.b] as const, [pairs.b, pairs.a] as const])
    for (const [name, tensor] of one)
      if (!other.has(name)) throw new Error(`${WEIGHTS}: tensor ${tensor} has no other half`);
  return pairs;
}

function merge(
  source: TensorSource,
  file: TensorSource,
  settings: Settings,
  turned: boolean,
): TensorSource {
  if (settings.fanInFanOut !== turned)
    throw new Error(
      `${CONFIG}: fan_in_fan_out is ${settings.fanInFanOut}; the base's weights ask for ${turned}`,
    );
  const pairs = pairsOf(file, settings);
  const deltas = new Map(
    [...pairs.a.keys()].map((name) => [name, deltaOf(name, source, file, settings, pairs)]),
  );
  return {
    names: [...new Set([...source.names, ...pairs.whole.keys()])],
    shape: (name) => (pairs.whole.has(name) ? file : source).shape(pairs.whole.get(name) ?? name),
    read(name, from, to) {
      const whole = pairs.whole.get(name);
      if (whole !== undefined) return file.read(whole, from, to);
      const values = source.read(name, from, to);
      deltas.get(name)?.(values, from ?? 0);
      return values;
    },
  };
}

/** Adds the rows of a pair's product to those of the base, from row `from` on. */
type Delta = (values: Float32Array, from: number) => void;

function deltaOf(
  name: string,
  source: TensorSource,
  file: TensorSource,
  settings: Settings,
  pairs: Pairs,
): Delta {
  const [a, b] = [pairs.a.get(name) ?? '', pairs.b.get(name) ?? ''];
  const module = name.replace(/\.weight$/, '');
  const rank = settings.rank(module);
  const base = source.shape(name);
  const [outputs, inputs] = settings.fanInFanOut ? [base[1], base[0]] : [base[0], base[1]];
  checkShape(file, a, [rank, inputs]);
  checkShape(file, b, [outputs, rank]);
  const scale = settings.scale(module);
  const width = base[1] ?? 1;
  return (values, from) => {
    // left [rows, rank] times right [rank, width]
    const [left, right] = settings.fanInFanOut
      ? [turnedRows(file.read(a), rank), turnedRows(file.read(b), outputs ?? 1)]
      : [file.read(b), file.read(a)];
    const sums = new Float64Array(width);
    for (let row = 0; row * width < values.length; row++) {
      sums.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = scale * left[(from + row) * rank + k]!;
        for (let i = 0; i < width; i++) sums[i]! += factor * right[k * width + i]!;
      }
      for (let i = 0; i < width; i++) values[row * width + i]! += sums[i]!;
    }
  };
}

function checkShape(file: TensorSource, name: string, wanted: readonly unknown[]): void {
  if (file.shape(name).join() !== wanted.join())
    throw new Error(
      `${WEIGHTS}: tensor ${name} is [${file.shape(name).join(', ')}]; its rank and the base ask for [${wanted.join(', ')}]`,
    );
}

/** [rows, columns] to [columns, rows]; both halves of a pair are small. */
function turnedRows(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}
