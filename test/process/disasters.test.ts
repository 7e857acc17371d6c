/** What operators fear, on the real server: model files replaced under it, an inference process that dies again and again, a full disk. */

import { cpSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { serve, type Served } from '../support/server.ts';
import { eventually, inferenceOf } from '../support/watch.ts';

const root = join(import.meta.dirname, '../..');
const folders: string[] = [];
let served: Served | null = null;
afterEach(async () => {
  await served?.stop('SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A config that serves a copy of the story policy. */
function own(): { config: string; model: string } {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
  folders.push(folder);
  cpSync(join(root, 'models', 'tales'), join(folder, 'tales'), { recursive: true });
  const config = join(folder, 'config.yaml');
  writeFileSync(config, 'policy: tales\nmodels:\n  tales: { path: tales, role: policy }\n');
  return { config, model: join(folder, 'tales', 'model.onnx') };
}

async function story(base: string): Promise<unknown> {
  const response = await fetch(`${base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'One day, Tom', max_tokens: 20, seed: 1 }),
  });
  const { choices } = (await response.json()) as { choices?: unknown };
  return choices ?? response.status;
}

const statusOf = async (url: string): Promise<number> =>
  await fetch(url).then(
    ({ status }) => status,
    () => 0,
  );

test('a model file that is overwritten changes no answer; once inference has to start again, the server says which file and ends', async () => {
  const { config, model } = own();
  const server = (served = await serve(['--config', config]));
  const before = await story(server.base);
  writeFileSync(model, 'no model'); // in place: what is mapped of it would be gone
  expect(await story(server.base)).toEqual(before);
  process.kill(inferenceOf(server.pid)!, 'SIGKILL');
  expect(await eventually(async () => (await statusOf(`${server.base}/ready`)) === 503)).toBe(true);
  expect(await statusOf(`${server.base}/health`)).toBe(200);
  expect(await story(server.base)).toBe(503);
  expect(await server.gone).toBe(1);
  expect(server.output()).toMatch(
    /model\.onnx has 8 bytes; its manifest says \d+, 5 times in a minute/,
  );
});

test('what nobody caught is a JSON line: inference starts again after it, the HTTP process ends', async () => {
  const { config, model } = own();
  const trap = join(dirname(dirname(model)), 'trap.mjs');
  writeFileSync(trap, "process.on('SIGUSR2', () => { throw new Error('boom'); });");
  process.env['NODE_OPTIONS'] = `--import=${trap}`;
  const server = (served = await serve(['--config', config]).finally(
    () => delete process.env['NODE_OPTIONS'],
  ));
  const isReady = async () => (await statusOf(`${server.base}/ready`)) === 200;
  process.kill(inferenceOf(server.pid)!, 'SIGUSR2');
  expect(await eventually(async () => !(await isReady()))).toBe(true);
  expect(await eventually(isReady)).toBe(true);
  process.kill(server.pid, 'SIGUSR2');
  expect(await server.gone).toBe(1);
  const lines = server.output().trim().split('\n');
  const uncaught = lines
    .map((line) => JSON.parse(line) as { msg?: string; err?: { message: string } })
    .filter(({ msg }) => msg === 'uncaught');
  expect(uncaught.map(({ err }) => err?.message)).toEqual(['boom', 'boom']);
});

test.skipIf(!existsSync('/dev/full'))('a log that cannot be written stops nothing', async () => {
  const full = openSync('/dev/full', 'w');
  const server = (served = await serve(['--config', own().config], full));
  for (let i = 0; i < 3; i++) expect(await story(server.base)).toBeInstanceOf(Array);
  process.kill(inferenceOf(server.pid)!, 'SIGKILL');
  const isReady = async () => (await statusOf(`${server.base}/ready`)) === 200;
  expect(await eventually(async () => !(await isReady()))).toBe(true);
  expect(await eventually(isReady)).toBe(true);
  expect(await story(server.base)).toBeInstanceOf(Array);
  expect(await server.stop()).toBe(0);
});
