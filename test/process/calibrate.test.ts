/** `coxswain calibrate` on an import, and the server that then keeps its KV as int8: told in the plan, refused where it cannot be. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { TINY, writeRandomLlama } from '../support/random_llama.ts';
import { serve } from '../support/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'coxswain-calibrate-'));
const path = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

function cli(...args: readonly string[]): { code: number | null; said: string } {
  const run = spawnSync(process.execPath, ['dist/cli.js', ...args], { encoding: 'utf8' });
  return { code: run.status, said: run.stdout + run.stderr };
}

function configOf(models: string): string {
  writeFileSync(
    path('config.yaml'),
    `policy: open\nmodels:\n${models}\nengine: { kv_slots: 256 }\n`,
  );
  return path('config.yaml');
}

beforeAll(() => {
  writeRandomLlama(path('checkpoint'), TINY);
  const common = { from: path('checkpoint'), created: 0 } as const;
  for (const name of ['open', 'shut']) importModel({ ...common, to: path(name), role: 'policy' });
  writeRandomLlama(path('scoring'), { ...TINY, score: true });
  importModel({ from: path('scoring'), created: 0, to: path('scorer'), role: 'reward' });
  expect(cli('calibrate', path('open'))).toEqual({
    code: 0,
    said: expect.stringMatching(/kv_scales\.json: 128 bytes of KV a token instead of 512; KL/),
  });
});

test('a server with it answers, and plans a quarter of the KV', async () => {
  const config = configOf('  open: { path: open, role: policy }');
  const rows = /([\d.]+) MB {2}KV rows/;
  const planned = (): number =>
    Number(rows.exec(cli('serve', '--config', config, '--dry-run').said)![1]);
  const int8 = planned();
  configOf('  open: { path: open, role: policy, kv: float32 }');
  expect(planned()).toBeCloseTo(4 * int8, 0);
  configOf('  open: { path: open, role: policy, kv: int8 }');
  await using server = await serve(['--config', config]);
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'One day', max_tokens: 40, seed: 1 }),
  });
  const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
  expect(response.status).toBe(200);
  expect(usage.completion_tokens).toBeGreaterThan(0);
});

test.each([
  ['shut: { path: shut, role: policy, kv: int8 }', /models\.shut\.kv.*coxswain calibrate .*shut/s],
  ['scorer: { path: scorer, role: reward, kv: int8 }', /models\.scorer\.kv.*only language models/s],
  ['shut: { path: open, role: policy, kv: int8, device: webgpu }', /webgpu keeps float32 only/],
  ['shut: { path: open, role: policy, kv: int4 }', /models\.shut\.kv.*auto, float32, int8/s],
])('%s is refused', (model, message) => {
  const config = configOf(`  open: { path: open, role: policy }\n  ${model}`);
  const { code, said } = cli('serve', '--config', config, '--check-config');
  expect(said).toMatch(message);
  expect(code).toBe(1);
});

test('a file of scales that was changed is refused like any other of a model', () => {
  const config = configOf('  open: { path: open, role: policy }');
  const text = readFileSync(path('open/kv_scales.json'), 'utf8');
  writeFileSync(path('open/kv_scales.json'), text.replace('1', '2'));
  const { code, said } = cli('serve', '--config', config, '--port', '0');
  writeFileSync(path('open/kv_scales.json'), text);
  expect(said).toMatch(/kv_scales\.json is damaged or was changed/);
  expect(code).toBe(1);
});

test('laws that would move further than asked leave the folder as it was', () => {
  const before = readdirSync(path('shut')).map((name) => [
    name,
    readFileSync(path(`shut/${name}`)),
  ]);
  const { code, said } = cli('calibrate', path('shut'), '--most', '1e-12');
  expect(said).toMatch(/more than 1e-12; its KV stays float32/);
  expect(code).toBe(1);
  expect(
    readdirSync(path('shut')).map((name) => [name, readFileSync(path(`shut/${name}`))]),
  ).toEqual(before);
});

test.each([
  [[], /usage: calibrate/],
  [['scorer'], /no language model that the importer wrote/],
  [['open', '--most', 'x'], /--most is x/],
  [['open', '--seed', '-1'], /seed/],
  [['nowhere'], /nowhere/],
])('calibrate %j is refused', ([model, ...more], message) => {
  const { code, said } = cli('calibrate', ...(model === undefined ? [] : [path(model)]), ...more);
  expect(said).toMatch(message);
  expect(code).toBe(1);
  expect(existsSync(path('nowhere'))).toBe(false);
});
