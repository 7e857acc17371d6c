/** The `user` command on a real graph: the latent that it prints is the encoder's on what a float64 forward pass says. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../src/importer/safetensors.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { userCommand } from '../../src/user_command.ts';
import { tinyFolder } from '../fakes/models.ts';
import { closing } from '../fakes/ort.ts';
import { temporaryFolder } from './importer/checkpoint.ts';
import { randomValues, safetensors, Tensors, type Shapes } from './importer/families/published.ts';
import { Reference } from './importer/reference.ts';

const model = tinyFolder({}, 'float32', { role: 'reward', hiddenStates: true });
const blind = tinyFolder({}, 'float32', { role: 'reward' });
const reference = new Reference(
  closing(openSafetensors(join(model, '../checkpoint/model.safetensors'))),
);
const codec = loadCodec(model);
const linear = (name: string, outputs: number, inputs: number): Shapes => ({
  [`${name}.weight`]: [outputs, inputs],
  [`${name}.bias`]: [outputs],
});
const SHAPES: Shapes = {
  'score.weight': [6, 64],
  ...linear('pair_encoder._model.0', 7, 12),
  ...linear('pair_encoder._model.2', 3, 7),
  ...linear('sequence_encoder.w_q', 3, 3),
  ...linear('sequence_encoder.w_k', 3, 3),
  ...linear('sequence_encoder.w_v', 3, 3),
  ...linear('sequence_encoder.mean_layer', 2, 3),
  ...linear('sequence_encoder.log_var_layer', 2, 3),
};
const values = randomValues(SHAPES, 3);
const tensors = new Tensors(SHAPES, values);
writeFileSync(join(model, 'head.safetensors'), safetensors(SHAPES, values));

const folder = temporaryFolder();
function written(lines: readonly unknown[]): string {
  const path = join(folder, 'pairs.jsonl');
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  return path;
}
function run(...args: readonly string[]): string {
  const steps = userCommand(args);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

const pairs = [
  { prompt: 'One day', chosen: ' it rained', rejected: ' no' },
  { messages: [{ role: 'user', content: 'Hi' }], chosen: 'Hello', rejected: '' },
  { prompt: 'Two', chosen: ' cats', rejected: ' dogs' },
] as const;

type Vector = readonly number[];
const apply = (name: string, x: Vector): number[] => {
  const bias = name === 'score' ? null : tensors.vector(`${name}.bias`);
  return tensors
    .matrix(`${name}.weight`)
    .map((row, r) => row.reduce((sum, w, i) => sum + w * x[i]!, bias?.[r] ?? 0));
};

/** By the definition, in float64. */
function expected(): { mean: number[]; variance: number[] } {
  const embedding = (before: Vector, answer: string): number[] => {
    const tokens = [...before, ...codec.encode(answer), ...codec.closing(true)];
    return apply('score', reference.layers(tokens).at(-1)!.at(-1)!);
  };
  const read = pairs.map((pair) => {
    const before = 'prompt' in pair ? codec.prompt(pair.prompt) : codec.chat(pair.messages);
    const both = [...embedding(before, pair.chosen), ...embedding(before, pair.rejected)];
    const inner = apply('pair_encoder._model.0', both).map((x) => (x > 0 ? x : 0.2 * x));
    return apply('pair_encoder._model.2', inner);
  });
  const [q, k, v] = ['w_q', 'w_k', 'w_v'].map((part) =>
    read.map((x) => apply(`sequence_encoder.${part}`, x)),
  );
  const whole = [0, 0, 0];
  for (const query of q!) {
    const terms = k!.map((key) =>
      Math.exp(key.reduce((sum, x, i) => sum + x * query[i]!, 0) / Math.sqrt(3)),
    );
    const z = terms.reduce((sum, term) => sum + term, 0);
    v!.forEach((row, r) => row.forEach((x, i) => (whole[i]! += ((terms[r]! / z) * x) / q!.length)));
  }
  const clamp = (x: number): number => Math.min(1, Math.max(-1, x));
  return {
    mean: apply('sequence_encoder.mean_layer', whole).map(clamp),
    variance: apply('sequence_encoder.log_var_layer', whole).map((x) => Math.exp(clamp(x))),
  };
}

interface Printed {
  readonly user: readonly number[];
  readonly variance: readonly number[];
  readonly mean_variance: number;
  readonly pairs: number;
}
const asked = (...more: readonly string[]): Printed =>
  JSON.parse(
    run(model, '--head', 'head.safetensors', '--pairs', written(pairs), ...more),
  ) as Printed;

test('the latent and its variance are those of the definition', () => {
  const { mean, variance } = expected();
  const printed = asked();
  expect(mean.filter((x) => Math.abs(x) === 1)).toEqual([]); // else the clamp would hide it
  const far = (a: Vector, b: Vector): number => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
  expect(printed.user).toHaveLength(2);
  expect(far(printed.user, mean)).toBeLessThan(1e-4);
  expect(far(printed.variance, variance)).toBeLessThan(1e-4);
  expect(printed.mean_variance).toBeCloseTo((variance[0]! + variance[1]!) / 2, 4);
  expect(printed.pairs).toBe(3);
});

test('it can be scaled to the length that some heads were trained with', () => {
  const [plain, scaled] = [asked().user, asked('--normalize').user];
  expect(Math.hypot(...scaled)).toBeCloseTo(Math.SQRT2, 10);
  expect(scaled[0]! * plain[1]!).toBeCloseTo(scaled[1]! * plain[0]!, 10);
});

test.each([
  [[{ prompt: 'x', chosen: 'y' }], 'line 1: rejected is missing'],
  [[pairs[0], { chosen: 'y', rejected: 'z' }], 'line 2: a pair has either prompt or messages'],
  [[{ prompt: 'x', chosen: 'y', rejected: 'z', user: 1 }], 'line 1: user is not a parameter'],
  [[{ prompt: 'x', chosen: 'y'.repeat(200), rejected: 'z' }], 'pair 1 has 202 tokens'],
  [Array.from({ length: 1001 }, () => pairs[0]), 'has 1001 pairs; at most 1000 are read'],
  [[], 'has no lines'],
])('pairs that do not fit are refused by their line: %#', (lines, message) => {
  expect(() => run(model, '--head', 'head.safetensors', '--pairs', written(lines))).toThrow(
    message,
  );
});

test('wrong usage, a graph without states and a head without an encoder say what would do', () => {
  const file = written(pairs);
  expect(() => run(model)).toThrow('usage: user');
  expect(() => run(blind, '--head', 'head.safetensors', '--pairs', file)).toThrow(
    'import its checkpoint with --hidden-states',
  );
  const without = (name: string): void => {
    const shapes = Object.fromEntries(
      Object.entries(SHAPES).filter(([tensor]) => !tensor.startsWith(name)),
    );
    const kept = new Map([...values].filter(([tensor]) => !tensor.startsWith(name)));
    writeFileSync(join(model, 'part.safetensors'), safetensors(shapes, kept));
  };
  without('pair_encoder');
  expect(() => run(model, '--head', 'part.safetensors', '--pairs', file)).toThrow(
    'part.safetensors: there is no tensor pair_encoder._model.0.weight',
  );
  without('sequence_encoder.mean_layer');
  expect(() => run(model, '--head', 'part.safetensors', '--pairs', file)).toThrow(
    'has no tensor sequence_encoder.mean_layer.weight',
  );
});
