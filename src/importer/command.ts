/** The `import` command: its arguments and what it prints. */

import { parseArgs } from 'node:util';
import { importModel } from './import.ts';

const USAGE = `usage: import <checkpoint folder> --out <model folder> --role policy|guide|reward
  --weights int8|float32    int8
  --layout cached|genai     cached; genai: for onnxruntime-genai and transformers.js
  --reads prefix|complete   complete; rewards: whether unfinished answers can be scored
  --license ID              licence of the model, for its card
  --recipe PATH             where its training is described, for its card`;

const OPTIONS = {
  out: { type: 'string' },
  role: { type: 'string' },
  weights: { type: 'string', default: 'int8' },
  layout: { type: 'string', default: 'cached' },
  reads: { type: 'string' },
  license: { type: 'string' },
  recipe: { type: 'string' },
} as const;

/** Runs the command and returns what to print. Throws an Error with a message for the user. */
export function importCommand(args: readonly string[], created: number): string {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [from, ...more] = positionals;
  if (from === undefined || more.length > 0 || values.out === undefined) throw new Error(USAGE);
  const manifest = importModel({
    from,
    to: values.out,
    role: oneOf('role', values.role, ['policy', 'guide', 'reward']),
    weights: oneOf('weights', values.weights, ['int8', 'float32']),
    layout: oneOf('layout', values.layout, ['cached', 'genai']),
    ...(values.reads === undefined
      ? {}
      : { reads: oneOf('reads', values.reads, ['prefix', 'complete']) }),
    ...(values.license === undefined ? {} : { license: values.license }),
    ...(values.recipe === undefined ? {} : { recipe: values.recipe }),
    created,
  });
  const megabytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0) / 1e6;
  return `${values.out}: ${manifest.role}, ${manifest.weights}, ${megabytes.toFixed(1)} MB`;
}

function oneOf<const T extends string>(
  name: string,
  given: string | undefined,
  allowed: readonly T[],
): T {
  const found = allowed.find((value) => value === given);
  if (found === undefined)
    throw new Error(
      `--${name} is ${given ?? 'missing'}; it can be ${allowed.join(', ')}\n${USAGE}`,
    );
  return found;
}
