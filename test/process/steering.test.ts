/** Steering, served: a vector made by `coxswain steer` of the policy's own states, named in a config and asked for by requests. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { openSafetensors } from '../../src/importer/safetensors.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { readVector, vectorBytes } from '../../src/steering/file.ts';
import { TINY, writeRandomLlama } from '../support/random_llama.ts';
import { serve, type Served } from '../support/server.ts';
import { Reference } from '../unit/importer/reference.ts';

const LAYER = 1;
const folder = mkdtempSync(join(tmpdir(), 'coxswain-steering-'));
const path = (name: string): string => join(folder, name);
const cli = (...args: readonly string[]): string =>
  execFileSync(process.execPath, ['dist/cli.js', ...args], { encoding: 'utf8' });
const CONFIG = path('config.yaml');
let server: Served;

beforeAll(async () => {
  writeRandomLlama(path('checkpoint'), TINY);
  const common = { from: path('checkpoint'), weights: 'float32', created: 0 } as const;
  importModel({ ...common, to: path('open'), role: 'policy', steering: LAYER });
  importModel({ ...common, to: path('shut'), role: 'policy' });
  const texts = ['a quiet sea', 'the lamp is low'].map((answer) => ({ prompt: 'One day', answer }));
  writeFileSync(path('texts.jsonl'), texts.map((text) => JSON.stringify(text)).join('\n'));
  cli('steer', path('open'), '--texts', path('texts.jsonl'), '--out', path('calm.safetensors'));
  const values = Float32Array.from({ length: TINY.hidden }, (_, i) => Math.sin(i));
  writeFileSync(path('wave.safetensors'), vectorBytes({ layer: LAYER, values }));
  const far = { layer: LAYER, values: values.map((value) => 1e9 * value) };
  writeFileSync(path('far.safetensors'), vectorBytes(far));
  writeFileSync(
    CONFIG,
    `policy: open
models:
  open: { path: open, role: policy }
  shut: { path: shut, role: policy }
steering:
  calm: { path: calm.safetensors, model: open }
  far: { path: far.safetensors, model: open }
  wave: { path: wave.safetensors, model: open }
presets:
  'open:calm': { steering: [{ vector: calm, scale: 3 }] }
engine: { kv_bytes: 64MB, max_seq: 96 }
`,
  );
  server = await serve(['--config', CONFIG]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly choices: readonly {
    readonly text: string;
    readonly logprobs: {
      readonly token_logprobs: readonly number[];
    } | null;
  }[];
  readonly usage: { readonly prompt_tokens_details?: { readonly cached_tokens: number } };
  readonly error: { readonly message: string; readonly param: string };
}

async function ask(fields: object, status = 200): Promise<Answer> {
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'One day', max_tokens: 12, seed: 3, ...fields }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(status);
  return JSON.parse(text) as Answer;
}
const steer = (vector: string, scale: number, more: object = {}) => ({
  alignment: { steering: [{ vector, scale }], ...more },
});

test('answers are drawn from the law that a float64 forward pass of the steered model has', async () => {
  using file = openSafetensors(join(path('checkpoint'), 'model.safetensors'));
  const reference = new Reference(file);
  const codec = loadCodec(path('open'));
  const prompt = 'One day';
  for (const [vector, scale] of [
    ['calm', 2],
    ['wave', -1.5],
    ['wave', 0],
  ] as const) {
    const { values } = readVector(path(`${vector}.safetensors`));
    const { choices } = await ask({ ...steer(vector, scale), logprobs: 0, temperature: 0, prompt });
    const tokens = [...codec.prompt(prompt)];
    const said = choices[0]!.logprobs!.token_logprobs;
    expect(said.length).toBeGreaterThan(0);
    for (const [i, logprob] of said.entries()) {
      const logits = reference
        .logits(tokens, (layer, state) =>
          layer === LAYER ? state.map((x, k) => x + scale * values[k]!) : state,
        )
        .at(-1)!
        .slice(0, 257); // no special token is drawn
      const z = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      const best = logits.indexOf(Math.max(...logits));
      const far = Math.abs(logprob - (logits[best]! - z));
      expect(far, `${vector} ${scale}, token ${i}`).toBeLessThan(1e-3);
      tokens.push(best); // another one would have another law behind it
    }
  }
});

const strategies: object[] = [
  {},
  { strategy: { type: 'best_of_n', n: 4, by: 'likelihood' } },
  { strategy: { type: 'beam', width: 3 } },
  { strategy: { type: 'particles', n: 4, every: 4 }, rewards: [{ length: 'over', target: 3 }] },
  {
    strategy: { type: 'mcts', branch: 2, iterations: 3, segment: { tokens: 4 } },
    rewards: [{ length: 'over', target: 3 }],
  },
  { guides: [{ model: 'shut', weight: 0.5 }] },
  { guides: [{ plus: 'shut', minus: 'open', weight: 0.5 }] },
  { guides: [{ rule: { regex: '[a-z ]{4,20}' } }] },
];

test('the same seed gives the same bytes alone and in traffic, of whatever steering and strategy', async () => {
  const asked = [0, 0.5, 2].flatMap((scale) =>
    strategies.map((more) => ({
      ...(scale === 0 ? { alignment: more } : steer('wave', scale, more)),
      logprobs: 0,
    })),
  );
  const alone: Answer['choices'][] = [];
  for (const one of asked) alone.push((await ask(one)).choices);
  const together = await Promise.all([...asked, ...asked].map(async (one) => ask(one)));
  together.forEach(({ choices }, i) => expect(choices).toEqual(alone[i % asked.length]));
  const texts = alone.map((choices) => JSON.stringify(choices));
  strategies.forEach((_, i) =>
    expect(
      new Set([0, 1, 2].map((k) => texts[i + k * strategies.length])).size,
      `strategy ${i}`,
    ).toBe(3),
  );
});

test('the longest sum that is let in still gives a law', async () => {
  const { choices } = await ask({ ...steer('far', 100), logprobs: 0 });
  for (const logprob of choices[0]!.logprobs!.token_logprobs)
    expect(Number.isFinite(logprob)).toBe(true);
});

test('a prompt that was read under one steering is found under that one only', async () => {
  const prompt = 'It was a long and quiet evening by the sea.';
  const cached = async (scale: number): Promise<number> =>
    (await ask({ ...steer('calm', scale), prompt })).usage.prompt_tokens_details?.cached_tokens ??
    0;
  const found = [];
  for (const scale of [0, 1, 0, 1, 1.5]) found.push(await cached(scale));
  const whole = loadCodec(path('open')).prompt(prompt).length;
  expect(found).toEqual([0, 0, whole, whole, 0]);
});

test('a scale of 0 is the unsteered answer, and a graph without the input answers the same', async () => {
  const plain = await ask({ logprobs: 0 });
  expect((await ask({ ...steer('calm', 0), logprobs: 0 })).choices).toEqual(plain.choices);
  expect((await ask({ model: 'shut', logprobs: 0 })).choices).toEqual(plain.choices);
});

test('a preset may carry it, and a request replaces it', async () => {
  const preset = await ask({ model: 'open:calm', logprobs: 0 });
  expect(preset.choices).toEqual((await ask({ ...steer('calm', 3), logprobs: 0 })).choices);
  const without = await ask({ model: 'open:calm', alignment: { steering: [] }, logprobs: 0 });
  expect(without.choices).toEqual((await ask({ logprobs: 0 })).choices);
});

test('what cannot be steered so is refused with what can', async () => {
  const unknown = await ask(steer('clam', 1), 400);
  expect(unknown.error).toMatchObject({ param: 'alignment.steering[0].vector' });
  expect(unknown.error.message).toContain('those of open: calm, far, wave');
  const shut = await ask({ model: 'shut', ...steer('calm', 1) }, 400);
  expect(shut.error.message).toContain('import its checkpoint with --steering LAYER');
});

test('models and metrics tell of it', async () => {
  const models = (await (await fetch(`${server.base}/v1/models/open`)).json()) as object;
  expect(models).toMatchObject({ alignment: { steering: ['calm', 'far', 'wave'] } });
  const metrics = await (await fetch(`${server.base}/metrics`)).text();
  expect(metrics).toMatch(/coxswain_steered_requests_total\{vectors="1"\} \d+/);
});

test('a vector of another layer stops the start, by name', () => {
  const values = new Float32Array(TINY.hidden);
  writeFileSync(path('late.safetensors'), vectorBytes({ layer: 2, values }));
  writeFileSync(
    path('late.yaml'),
    `policy: open
models: { open: { path: open, role: policy } }
steering: { late: { path: late.safetensors, model: open } }
`,
  );
  const args = ['dist/cli.js', 'serve', '--config', path('late.yaml'), '--check-config'];
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr + stdout).toContain('is of layer 2; open is steered after layer 1');
});
