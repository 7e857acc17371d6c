/** A reward of one user (VPL), served: beside a float64 forward pass and the head's own arithmetic. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { openSafetensors } from '../../src/importer/safetensors.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { TINY, writeRandomLlama } from '../support/random_llama.ts';
import { serve, type Served } from '../support/server.ts';
import { randomValues, safetensors, Tensors } from '../unit/importer/families/published.ts';
import { Reference } from '../unit/importer/reference.ts';

const folder = mkdtempSync(join(tmpdir(), 'coxswain-personal-'));
const path = (name: string): string => join(folder, name);
const SHAPES = {
  'score.weight': [12, TINY.hidden],
  'decoder._model.0.weight': [10, 15],
  'decoder._model.0.bias': [10],
  'decoder._model.2.weight': [10, 10],
  'decoder._model.2.bias': [10],
  'decoder._model.4.weight': [1, 10],
  'decoder._model.4.bias': [1],
};
const values = randomValues(SHAPES, 5);
const head = new Tensors(SHAPES, values);
let server: Served;

beforeAll(async () => {
  writeRandomLlama(path('checkpoint'), TINY);
  const common = { from: path('checkpoint'), weights: 'float32', created: 0 } as const;
  importModel({ ...common, to: path('policy'), role: 'policy' });
  importModel({ ...common, to: path('yours'), role: 'reward', hiddenStates: true });
  writeFileSync(path('yours/head.safetensors'), safetensors(SHAPES, values));
  writeFileSync(
    path('config.yaml'),
    `policy: policy
models:
  policy: { path: policy, role: policy }
  yours: { path: yours, role: reward, latent_head: head.safetensors }
engine: { kv_bytes: 64MB, max_seq: 64 }
`,
  );
  server = await serve(['--config', path('config.yaml')]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

async function post<T>(route: string, body: object, status = 200): Promise<T> {
  const response = await fetch(`${server.base}${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  expect(response.status, text).toBe(status);
  return JSON.parse(text) as T;
}

/** By the definition, in float64. */
function rewardOf(
  reference: Reference,
  tokens: readonly number[],
  user: readonly number[],
): number {
  const state = reference.layers(tokens).at(-1)!.at(-1)!;
  const times = (name: string, x: readonly number[]): number[] =>
    head.matrix(name).map((row) => row.reduce((sum, w, i) => sum + w * x[i]!, 0));
  let x = [...times('score.weight', state), ...user];
  for (const n of [0, 2, 4]) {
    const bias = head.vector(`decoder._model.${n}.bias`);
    x = times(`decoder._model.${n}.weight`, x).map((value, i) => value + bias[i]!);
    if (n < 4) x = x.map((value) => (value > 0 ? value : 0.2 * value));
  }
  return x[0]!;
}

const texts = [' a fox', ' it rained', ' no'];
const score = (user: readonly number[]) =>
  post<{ data: { score: number }[] }>('/v1/score', {
    queries: 'One day',
    documents: texts,
    alignment: { rewards: [{ personal: 'yours', user }] },
  }).then(({ data }) => data.map((one) => one.score));

test('each user has a reward of their own, as the definition says', async () => {
  using file = openSafetensors(join(path('checkpoint'), 'model.safetensors'));
  const reference = new Reference(file);
  const codec = loadCodec(path('yours'));
  const users = [
    [0.3, -0.2, 1],
    [-1, 0.5, 0],
  ];
  const scores = await Promise.all([...users, ...users].map(score));
  expect(scores.slice(2)).toEqual(scores.slice(0, 2));
  users.forEach((user, u) =>
    texts.forEach((text, i) => {
      const tokens = [...codec.prompt('One day'), ...codec.encode(text), ...codec.closing(true)];
      const far = Math.abs(scores[u]![i]! - rewardOf(reference, tokens, user));
      expect(far, `user ${u}, text ${i}`).toBeLessThan(1e-4);
    }),
  );
  expect(scores[0]).not.toEqual(scores[1]);
});

test('a best-of-N is chosen for a user, beside other rewards', async () => {
  const ask = (user: readonly number[]) =>
    post<{
      choices: { text: string }[];
      alignment: { candidates: { score: number; parts: object; status: string }[] };
    }>('/v1/completions', {
      prompt: 'One day',
      max_tokens: 8,
      seed: 3,
      alignment: {
        strategy: { type: 'best_of_n', n: 6 },
        rewards: [
          { personal: 'yours', user, id: 'me' },
          { length: 'over', target: 4, weight: 0.01 },
        ],
      },
    });
  const { alignment } = await ask([0.3, -0.2, 1]);
  const best = Math.max(...alignment.candidates.map((one) => one.score));
  expect(alignment.candidates.find(({ status }) => status === 'selected')!.score).toBe(best);
  expect(alignment.candidates[0]!.parts).toHaveProperty('me');
  const [again, other] = [await ask([0.3, -0.2, 1]), await ask([-1, 0.9, -1])];
  expect(again.alignment.candidates).toEqual(alignment.candidates);
  expect(other.alignment.candidates).not.toEqual(alignment.candidates);
});

interface Refusal {
  readonly error: { readonly message: string; readonly param: string };
}

test('a latent of another length, and a model without such a head, are refused', async () => {
  const asked = (reward: object) => ({
    queries: 'a',
    documents: ['b'],
    alignment: { rewards: [reward] },
  });
  const short = asked({ personal: 'yours', user: [1, 2] });
  const { error } = await post<Refusal>('/v1/score', short, 400);
  expect(error.param).toBe('alignment.rewards[0].user');
  expect(error.message).toContain('a list of 3 numbers');
  const other = asked({ personal: 'policy', user: [1, 2, 3] });
  const refused = await post<Refusal>('/v1/score', other, 404);
  expect(refused.error.message).toContain('a policy model without a latent_head');
  expect(refused.error.message).toContain('for a user here: yours');
});
