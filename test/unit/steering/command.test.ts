/** The `steer` command on a real graph: what it writes is the formula on what a float64 forward pass says. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../../src/importer/safetensors.ts';
import { loadCodec } from '../../../src/runtime/text/tokenizer.ts';
import { steerCommand } from '../../../src/steering/command.ts';
import { readVector } from '../../../src/steering/file.ts';
import { Activations } from '../../../src/steering/mean.ts';
import { tinyFolder } from '../../fakes/models.ts';
import { closing } from '../../fakes/ort.ts';
import { temporaryFolder } from '../importer/checkpoint.ts';
import { Reference } from '../importer/reference.ts';

const LAYER = 1;
const model = tinyFolder({}, 'float32', { steering: LAYER });
const plain = tinyFolder({}, 'float32');
const reference = new Reference(
  closing(openSafetensors(join(model, '../checkpoint/model.safetensors'))),
);
const codec = loadCodec(model);
const folder = temporaryFolder();
const path = (name: string): string => join(folder, name);

interface Text {
  readonly prompt?: string;
  readonly messages?: { readonly role: 'user'; readonly content: string }[];
  readonly answer: string;
  readonly entropy?: number;
}
const texts: Text[] = [
  { prompt: 'One day', answer: ' it rained' },
  { messages: [{ role: 'user', content: 'Hi' }], answer: 'calm' },
  { prompt: 'Two', answer: ' cats', entropy: 0.25 },
];
const others: Text[] = [{ prompt: 'No', answer: ' way!' }];

function written(name: string, lines: readonly unknown[]): string {
  writeFileSync(path(name), lines.map((line) => JSON.stringify(line)).join('\n\n'));
  return path(name);
}

function run(...args: readonly string[]): string {
  const steps = steerCommand(args);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

function entropyOf(logits: readonly number[]): number {
  const z = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return -logits.reduce((sum, logit) => {
    const p = Math.exp(logit) / z;
    return sum + p * Math.log(p);
  }, 0);
}

/** By the definition, in float64. */
function expected(all: readonly Text[]): Activations {
  const seen = new Activations(64);
  for (const { prompt, messages, answer, entropy } of all) {
    const before = messages === undefined ? codec.prompt(prompt!) : codec.chat(messages);
    const tokens = [...before, ...codec.encode(answer)];
    const states: number[][] = [];
    const logits = reference.logits(tokens, (layer, state) => {
      if (layer === LAYER) states.push(state);
      return state;
    });
    for (let i = before.length - 1; i < tokens.length - 1; i++)
      seen.add(states[i]!, entropy ?? entropyOf(logits[i]!));
  }
  return seen;
}

function expectClose(found: Float32Array, wanted: Float64Array): void {
  expect(found).toHaveLength(wanted.length);
  found.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(1e-4));
}

test('the vector is the mean by entropy over the answers of the texts', () => {
  const out = path('mean.safetensors');
  const said = run(model, '--texts', written('a.jsonl', texts), '--out', out);
  const { layer, values } = readVector(out);
  expect(layer).toBe(LAYER);
  const wanted = expected(texts);
  expectClose(values, wanted.mean);
  expect(said).toContain(`layer 1, width 64, ${wanted.count} decision tokens of 3 texts`);
  expect(said).toContain(`${wanted.entropy.toFixed(3)} nats each`);
});

test('the difference, and the mean of others taken away', () => {
  const a = written('a.jsonl', texts);
  const out = path('difference.safetensors');
  run(model, '--texts', a, '--form', 'difference', '--out', out);
  expectClose(readVector(out).values, expected(texts).difference);
  run(model, '--texts', a, '--minus', written('b.jsonl', others), '--out', out, '--force');
  const [plus, minus] = [expected(texts).mean, expected(others).mean];
  expectClose(
    readVector(out).values,
    plus.map((value, i) => value - minus[i]!),
  );
});

test('a graph that tells states of its layers too gives the same vector', () => {
  const both = tinyFolder({}, 'float32', { steering: LAYER, layerStates: true });
  const a = written('a.jsonl', texts);
  const [one, other] = [path('one.safetensors'), path('other.safetensors')];
  run(model, '--texts', a, '--out', one);
  run(both, '--texts', a, '--out', other);
  expect(readFileSync(other)).toEqual(readFileSync(one));
});

test('a file that is there is not replaced unless asked to', () => {
  const out = path('there.safetensors');
  writeFileSync(out, 'mine');
  const a = written('a.jsonl', texts);
  expect(() => run(model, '--texts', a, '--out', out)).toThrow('EEXIST');
  expect(readFileSync(out, 'utf8')).toBe('mine');
});

test.each([
  [[{ prompt: 'x' }], 'line 1: answer is missing'],
  [[{ answer: 'y' }], 'line 1: a text has either prompt or messages'],
  [[texts[0], { prompt: 'x', answer: 'y', weight: 1 }], 'line 3: weight is not a parameter'],
  [[{ prompt: 'x', answer: 'y', entropy: -1 }], 'line 1: entropy is -1'],
  [[{ prompt: '', answer: 'y' }], 'line 1: prompt has no tokens'],
  [[{ prompt: 'x', answer: 'y'.repeat(200) }], 'text 1 has 201 tokens; the model reads 128'],
  [[{ prompt: 'x', answer: 'y', entropy: 0 }], 'add up to 0'],
  [[], 'has no lines'],
])('%j is refused by its line, and nothing is written', (lines, message) => {
  const out = path('none.safetensors');
  expect(() => run(model, '--texts', written('bad.jsonl', lines), '--out', out)).toThrow(message);
  expect(existsSync(out)).toBe(false);
});

test('wrong usage says what would do', () => {
  const a = written('a.jsonl', texts);
  const out = path('none.safetensors');
  expect(() => run(model)).toThrow('usage: steer');
  expect(() => run(model, '--texts', a, '--out', out, '--form', 'sum')).toThrow(
    '--form is sum; it can be mean, difference',
  );
  expect(() => run(plain, '--texts', a, '--out', out)).toThrow(
    'has no steering input; import its checkpoint with --steering LAYER',
  );
  const guide = tinyFolder({}, 'float32', { steering: 1, role: 'guide' });
  expect(() => run(guide, '--texts', a, '--out', out)).toThrow('is a guide model');
});
