/** Policies of two vocabularies in one server: each request is answered in its own, and nothing of them mixes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TALES, tinyFolder } from '../fakes/models.ts';
import { serve, type Served } from '../support/server.ts';

let server: Served;
const folder = mkdtempSync(join(tmpdir(), 'coxswain-policies-'));

beforeAll(async () => {
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `policy: tales
models:
  tales: { path: ${TALES}, role: policy, kv_share: 3 }
  again: { path: ${TALES}, role: policy }
  bytes: { path: ${tinyFolder()}, role: policy }
presets: { 'bytes:n': { policy: bytes, strategy: { type: best_of_n, n: 2, by: likelihood } } }
engine: { kv_bytes: 64MB }
`,
  );
  server = await serve(['--config', file]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

async function ask(model: string, alignment: object = {}) {
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'One day', seed: 3, max_tokens: 8, alignment }),
  });
  return { status: response.status, body: (await response.json()) as Answer };
}
interface Answer {
  readonly choices: readonly { readonly text: string }[];
  readonly usage: { readonly prompt_tokens: number };
  readonly error: { readonly code: string; readonly param: string; readonly message: string };
}

test('each answers in its own tokens, alone and beside the others', async () => {
  const alone = [await ask('tales'), await ask('bytes'), await ask('bytes:n')];
  expect(alone.map(({ body }) => body.usage.prompt_tokens)).toEqual([3, 7, 7]);
  const together = await Promise.all([ask('tales'), ask('bytes'), ask('bytes:n')]);
  expect(together.map(({ body }) => body.choices)).toEqual(alone.map(({ body }) => body.choices));
});

test('a policy guides one of its vocabulary and is refused to the others', async () => {
  const ratio = { guides: [{ plus: 'again', minus: 'tales', weight: 1 }] };
  const { body: same } = await ask('tales', ratio);
  expect(same.choices).toEqual((await ask('tales')).body.choices); // a model against itself says nothing
  const { status, body } = await ask('bytes', ratio);
  expect([status, body.error.code, body.error.param]).toEqual([
    400,
    'invalid_value',
    'alignment.guides[0].plus',
  ]);
  expect(body.error.message).toContain('its guides here: bytes');
});

test('figures are told apart by model, and the engines’ are added up', async () => {
  const page = await (await fetch(`${server.base}/metrics`)).text();
  const value = (name: string): number =>
    Number(
      page
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  const requests =
    'coxswain_requests_total{endpoint="/v1/completions",model="bytes",strategy="sample",code="ok"}';
  expect(value(requests)).toBeGreaterThanOrEqual(2);
  for (const model of ['tales', 'again', 'bytes'])
    expect(value(`coxswain_model_forwards_total{model="${model}"}`)).toBeGreaterThan(0);
  expect(value('coxswain_prefix_cache_queries_total')).toBeGreaterThanOrEqual(8);
  expect(value('coxswain_requests_running')).toBe(0);
});
