/** What stops the server from starting, and what it says then. */

import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
  for (const model of ['tales', 'arm-happy'])
    cpSync(join(root, 'models', model), join(folder, model), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const CONFIG = `
policy: tales
models:
  tales: { path: tales, role: policy }
  arm-happy: { path: arm-happy, role: guide }
`;

/** Starts on a free port with a config; it is expected to end by itself. */
function start(config: string, ...more: string[]): { code: number | null; said: string } {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, config);
  const args = ['dist/cli.js', 'serve', '--port', '0', '--config', file, ...more];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, said: stdout + stderr };
}

/** Changes a model's file and, so that it counts as its own, the manifest. */
function replace(model: string, name: string, change: (bytes: Buffer) => Buffer): void {
  const bytes = change(readFileSync(join(folder, model, name)));
  writeFileSync(join(folder, model, name), bytes);
  const path = join(folder, model, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as { files: Record<string, unknown> };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  manifest.files[name] = { bytes: bytes.length, sha256 };
  writeFileSync(path, JSON.stringify(manifest));
}

test('a flipped byte in a guide’s weights: names the file and its sha256', () => {
  const path = join(folder, 'arm-happy', 'model.onnx');
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
  const { code, said } = start(CONFIG);
  expect(code).toBe(1);
  expect(said).toMatch(/arm-happy\/model\.onnx.*sha256/);
});

test('a graph that ONNX Runtime cannot read: names the model and carries its message', () => {
  replace('arm-happy', 'model.onnx', (bytes) => bytes.subarray(0, bytes.length >> 1));
  const { code, said } = start(CONFIG);
  expect(code).toBe(1);
  expect(said).toMatch(/arm-happy.*[Pp]rotobuf/s);
});

test('a guide with another vocabulary: names both sizes and the first token that differs', () => {
  replace('arm-happy', 'tokenizer.json', (bytes) => {
    const json = JSON.parse(bytes.toString()) as { model: { vocab: Record<string, number> } };
    const vocab = Object.entries(json.model.vocab).filter(([, id]) => id < 2047);
    json.model.vocab = Object.fromEntries(
      vocab.map(([piece, id]) => [id === 300 ? 'zzz' : piece, id]),
    );
    return Buffer.from(JSON.stringify(json));
  });
  const { code, said } = start(CONFIG);
  expect(code).toBe(1);
  expect(said).toMatch(/2047/);
  expect(said).toMatch(/2048/);
  expect(said).toMatch(/token 300 is "zzz"/);
});

test('a link in a model folder is refused', () => {
  rmSync(join(folder, 'arm-happy', 'model.onnx'));
  symlinkSync(join(folder, 'tales', 'model.onnx'), join(folder, 'arm-happy', 'model.onnx'));
  const { code, said } = start(CONFIG);
  expect(code).toBe(1);
  expect(said).toMatch(/arm-happy\/model\.onnx is a link/);
});

test('an unknown key or a missing folder is named', () => {
  expect(start(`${CONFIG}engin: {}\n`)).toMatchObject({
    code: 1,
    said: expect.stringMatching(/engin/),
  });
  const gone = start(CONFIG.replace('path: arm-happy', 'path: nowhere'));
  expect(gone).toMatchObject({ code: 1, said: expect.stringMatching(/nowhere/) });
});

test('too little KV memory is said in numbers', () => {
  const { code, said } = start(`${CONFIG}engine: { kv_bytes: 1KB }\n`);
  expect(code).toBe(1);
  expect(said).toMatch(/kv_bytes is 1024/);
});

test('--check-config says whether it would serve, and loads no model', () => {
  const fine = start(CONFIG, '--check-config');
  expect(fine).toMatchObject({ code: 0, said: expect.stringMatching(/is fine: 2 models/) });
  const path = join(folder, 'arm-happy', 'model.onnx');
  writeFileSync(path, readFileSync(path).subarray(1));
  const damaged = start(CONFIG, '--check-config');
  expect(damaged).toMatchObject({ code: 1, said: expect.stringMatching(/arm-happy\/model\.onnx/) });
});

test('a dry run says what memory it would take, and serves nothing', () => {
  const { code, said } = start(CONFIG, '--dry-run');
  expect(code).toBe(0);
  expect(said).toMatch(/is fine: 2 models/);
  expect(said).toMatch(/memory on cpu, at most:\n +[\d.]+ MB {2}weights of tales\n/);
  expect(said).toMatch(/KV rows of tales, arm-happy: 64 of 384 tokens/);
  expect(said).not.toContain('listening');
});

test('more memory than the budget is refused with the numbers', () => {
  const { code, said } = start(`${CONFIG}engine: { memory_bytes: 20MB }\n`);
  expect(code).toBe(1);
  expect(said).toMatch(/the models take up to [\d.]+ MB, and engine\.memory_bytes is 20\.0 MB/);
  expect(said).toContain('weights of arm-happy');
});

test.each([
  ['cuda', /models\.tales\.device is cuda, but .*CUDAExecutionProvider|providers_cuda\.so/],
  ['webgpu', /models\.tales\.device is webgpu, but .*; auto and cpu would do/],
])('a device that models cannot run on is refused with the reason: %s', (device, message) => {
  const { code, said } = start(CONFIG.replace('path: tales,', `path: tales, device: ${device},`));
  expect(code).toBe(1);
  expect(said).toMatch(message);
});
