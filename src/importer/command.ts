/** The `import` command: its arguments and what it prints. */

import { parseArgs } from 'node:util';
import { sum } from '../core/math.ts';
import { prepareImport, type ImportOptions, type Prepared } from './import.ts';

const USAGE = `usage: import <checkpoint folder> --out <model folder> --role policy|guide|reward|value
  --quantize int8|int4|fp16|none   int8; blocks of 32 weights
  --adapter FOLDER                 a LoRA adapter (PEFT) to merge; may be given several times
  --context N                      longest sequence; the checkpoint's
  --hidden-states                  an output with the last states
  --layer-states                   the states of all layers behind the logits, for pruning by self_truncation
  --steering LAYER                 an input that is added to the states after this many layers
  --layout cached|genai            cached; genai: for onnxruntime-genai and transformers.js
  --label NAME|INDEX               encoders whose head has several labels: the one that is the score
  --reads prefix|complete          whether unfinished answers can be scored; rewards: complete, value models: prefix
  --license ID                     licence of the model, for its card
  --recipe PATH                    where its training is described, for its card
  --force                          replace a model folder that is there
  --dry-run                        say what would be written, and the memory it takes`;

const OPTIONS = {
  out: { type: 'string' },
  role: { type: 'string' },
  quantize: { type: 'string', default: 'int8' },
  adapter: { type: 'string', multiple: true, default: [] as string[] },
  context: { type: 'string' },
  'hidden-states': { type: 'boolean', default: false },
  'layer-states': { type: 'boolean', default: false },
  steering: { type: 'string' },
  layout: { type: 'string', default: 'cached' },
  label: { type: 'string' },
  reads: { type: 'string' },
  license: { type: 'string' },
  recipe: { type: 'string' },
  force: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
} as const;

const WEIGHTS = { none: 'float32', fp16: 'float16', int8: 'int8', int4: 'int4' } as const;

/**
 * Runs the command; yields a line for the terminal now and then, and returns what to print. Throws an Error with a
 * message for the user. Whoever returns early leaves nothing behind.
 */
export function* importCommand(
  args: readonly string[],
  created: number,
): Generator<string, string> {
  const { options, dryRun } = parse(args, created);
  using prepared = prepareImport(options);
  const total = sum(Object.values(prepared.sizes));
  if (dryRun) return forecast(options.to, prepared, total);
  const writing = prepared.write();
  try {
    for (;;) {
      const { done, value } = writing.next();
      if (done === true)
        return `${options.to}: ${prepared.model.family}, ${value.role}, ${value.weights}, ${megabytes(total)}`;
      yield `${options.to}: ${megabytes(value)} of ${megabytes(total)}`;
    }
  } finally {
    writing.return(undefined as never);
  }
}

function parse(
  args: readonly string[],
  created: number,
): { options: ImportOptions; dryRun: boolean } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [from, ...more] = positionals;
  if (from === undefined || more.length > 0 || values.out === undefined) throw new Error(USAGE);
  const options: ImportOptions = {
    from,
    to: values.out,
    role: oneOf('role', values.role, ['policy', 'guide', 'reward', 'value']),
    weights: WEIGHTS[oneOf('quantize', values.quantize, ['int8', 'int4', 'fp16', 'none'])],
    layout: oneOf('layout', values.layout, ['cached', 'genai']),
    adapters: values.adapter,
    hiddenStates: values['hidden-states'],
    layerStates: values['layer-states'],
    force: values.force,
    ...given('context', values.context, (text) => whole('context', text)),
    ...given('steering', values.steering, (text) => whole('steering', text)),
    ...given('label', values.label, String),
    ...given('reads', values.reads, (text) => oneOf('reads', text, ['prefix', 'complete'])),
    ...given('license', values.license, String),
    ...given('recipe', values.recipe, String),
    created,
  };
  return { options, dryRun: values['dry-run'] };
}

/** What would be written, and what it takes to import and to serve it. */
function forecast(
  to: string,
  { model, described, sizes, sourceBytes }: Prepared,
  total: number,
): string {
  const { kvBytes, shape } = model;
  const { context } = shape;
  const loaded = (described.weights === 'float16' ? 2 : 1) * total + model.transposedBytes;
  return [
    `${to}: ${model.family}, ${described.role}, ${described.weights}; nothing was written`,
    ...Object.entries(sizes).map(([name, bytes]) => `  ${name.padEnd(24)} ${megabytes(bytes)}`),
    `  all files                ${megabytes(total)}, from ${megabytes(sourceBytes)} of weights`,
    `  weights in memory        about ${megabytes(loaded)}`,
    kvBytes === 0
      ? `  KV                       none; it reads up to ${context} tokens at once`
      : `  KV                       ${(kvBytes / 1000).toFixed(1)} KB a token, ${megabytes(kvBytes * context)} for a row of all ${context} tokens`,
  ].join('\n');
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

const given = <const K extends string, T>(
  name: K,
  text: string | undefined,
  read: (text: string) => T,
): Partial<Record<K, T>> =>
  text === undefined ? {} : ({ [name]: read(text) } as Partial<Record<K, T>>);

function whole(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} is ${text}; it must be a whole number above zero\n${USAGE}`);
  return value;
}

function oneOf<const T extends string>(
  name: string,
  text: string | undefined,
  allowed: readonly T[],
): T {
  const found = allowed.find((value) => value === text);
  if (found === undefined)
    throw new Error(`--${name} is ${text ?? 'missing'}; it can be ${allowed.join(', ')}\n${USAGE}`);
  return found;
}
