/** Folders that other tools exported, served by role and path alone. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { classifierFolder, genaiFolder, optimumFolder } from '../fakes/exports.ts';
import { tinyFolder } from '../fakes/models.ts';
import { wordPiece } from '../fakes/tokenizers.ts';
import { serve, type Served } from '../support/server.ts';

const JUDGE = {
  labels: 2,
  files: wordPiece(),
  more: ['token_type_ids'],
  config: { id2label: { 0: 'bad', 1: 'good' } },
};
let server: Served;
const folder = mkdtempSync(join(tmpdir(), 'coxswain-exported-'));

beforeAll(async () => {
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `policy: genai
models:
  genai: { path: ${genaiFolder('float32')}, role: policy }
  optimum: { path: ${optimumFolder({ positions: true })}, role: policy }
  ours: { path: ${tinyFolder({}, 'float32')}, role: policy }
  other: { path: ${optimumFolder({ positions: true }, { seed: 2 })}, role: guide }
  judge: { path: ${classifierFolder(JUDGE)}, role: reward, label: good, reads: prefix }
engine: { kv_bytes: 64MB, max_seq: 128 }
`,
  );
  server = await serve(['--config', file]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

async function ask(model: string, more: object = {}) {
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'One day, ', seed: 3, max_tokens: 24, ...more }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { choices: { text: string }[] }).choices;
}

test('the start says what such folders cost, and that nobody verified them', () => {
  const said = server.output();
  expect(said).toMatch(/"genai":\["its files are not verified: no manifest has their sha256"/);
  expect(said).toMatch(/"optimum":\[[^\]]*KV is copied at every step/);
  expect(said).not.toMatch(/"ours":\[/);
});

test('they answer as an import of the same weights does, alone and together', async () => {
  const models = ['ours', 'genai', 'optimum'];
  const greedy = { temperature: 0 };
  const alone = [];
  for (const model of models) alone.push(await ask(model, greedy));
  expect(alone[1]).toEqual(alone[0]);
  expect(alone[2]).toEqual(alone[0]);
  expect(await Promise.all(models.map((model) => ask(model, greedy)))).toEqual(alone);
});

test('they guide, are guided, branch and judge, and a seed fixes the bytes', async () => {
  const searching = {
    alignment: {
      guides: [{ model: 'other', weight: 0.5 }],
      rewards: [{ likelihood: 'other', weight: 1 }],
      strategy: { type: 'best_of_n', n: 4 },
    },
  };
  for (const model of ['genai', 'optimum']) {
    const alone = await ask(model, searching);
    const beside = await Promise.all([ask(model, searching), ask('ours'), ask(model)]);
    expect(beside[0]).toEqual(alone);
  }
});

test('a classifier that was exported judges whole answers and beginnings', async () => {
  expect(server.output()).toMatch(/"judge":\[[^\]]*label 1 \(good\): its log odds/);
  const response = await fetch(`${server.base}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'judge', queries: 'the cat', documents: ['plays', 'the cat'] }),
  });
  expect(response.status).toBe(200);
  const { data } = (await response.json()) as { data: { score: number }[] };
  expect(data).toHaveLength(2);
  expect(data[0]!.score).not.toBe(data[1]!.score);
  const rewards = [{ model: 'judge' }];
  const strategy = { type: 'segment_beam', width: 2, expand: 2, segment: { tokens: 6 } };
  await ask('ours', { alignment: { rewards, strategy } });
});
