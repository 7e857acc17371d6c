import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError } from '../../../src/ops/config.ts';
import { readManifest, verifyFiles } from '../../../src/ops/manifest.ts';

let folder = '';
const weights = Buffer.alloc(3 * 2 ** 20, 7);
const sha256 = createHash('sha256').update(weights).digest('hex');
const good = {
  format: 1,
  name: 'm',
  role: 'guide',
  weights: 'q8-block32',
  created: 1_700_000_000,
  files: { 'model.onnx': { bytes: weights.length, sha256 } },
  facts: { any: [1, { thing: true }] },
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coxswain-model-'));
  writeFileSync(join(folder, 'model.onnx'), weights);
  write(good);
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (manifest: unknown): void =>
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));

function refusal(): string {
  try {
    verifyFiles(readManifest(folder));
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('accepted');
}

test('a sound folder is accepted, with its facts', () => {
  const manifest = readManifest(folder);
  verifyFiles(manifest);
  expect(manifest).toMatchObject({ name: 'm', facts: { any: [1, { thing: true }] } });
});

test('a damaged, shortened or missing file is named', () => {
  const path = join(folder, 'model.onnx');
  writeFileSync(path, Buffer.alloc(weights.length, 8));
  expect(refusal()).toContain(`${path} is damaged or was changed`);
  writeFileSync(path, weights.subarray(1));
  expect(refusal()).toContain(`has ${weights.length - 1} bytes; its manifest says`);
  rmSync(path);
  expect(refusal()).toContain(`${path} is in the manifest, but cannot be read`);
  mkdirSync(path);
  expect(refusal()).toContain('is not a plain file');
});

test('links are refused, even to the same bytes', () => {
  const path = join(folder, 'model.onnx');
  const other = join(folder, 'other');
  writeFileSync(other, weights);
  rmSync(path);
  symlinkSync(other, path);
  expect(refusal()).toContain('is a link');
});

test.each([
  [{ ...good, files: { '../x': { bytes: 1, sha256 } } }, 'a plain file name'],
  [{ ...good, files: { 'a/b': { bytes: 1, sha256 } } }, 'a plain file name'],
  [{ ...good, files: { x: { bytes: 1, sha256: 'x' } } }, 'files.x.sha256'],
  [{ ...good, format: 2 }, 'format is 2; it must be 1'],
  [{ ...good, role: 'king' }, 'role is "king"'],
  [{ ...good, extra: 1 }, 'extra is not a parameter'],
  [{ ...good, created: undefined }, 'created is missing'],
])('the manifest %o is refused', (manifest, message) => {
  write(manifest);
  expect(refusal()).toContain(join(folder, 'manifest.json'));
  expect(refusal()).toContain(message);
});

test('a manifest that is missing or no JSON is named', () => {
  writeFileSync(join(folder, 'manifest.json'), '{');
  expect(refusal()).toContain('manifest.json');
  rmSync(join(folder, 'manifest.json'));
  expect(refusal()).toContain('manifest.json');
});
