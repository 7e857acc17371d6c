import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readConfig } from '../../../src/ops/config.ts';
import { hashKey, newKey } from '../../../src/ops/keys.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'coxswain-'))));
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllEnvs();
});

/** sha256 of "abc", from FIPS 180-2. */
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

function keysOf(keys: object) {
  const file = join(folder, 'config.yaml');
  const models = { tales: { path: '.', role: 'policy' } };
  writeFileSync(file, JSON.stringify({ policy: 'tales', models, server: { keys } }));
  return readConfig(file).server.keys;
}

test('hashes are sha256 in hexadecimal, and drawn keys differ', () => {
  expect(hashKey('abc')).toBe(ABC);
  expect(newKey()).not.toBe(newKey());
  expect(newKey()).toMatch(/^cx-[\w-]{43}$/);
});

test('a hash stands in the config, or in the environment', () => {
  vi.stubEnv('COXSWAIN_KEY_B', hashKey('b'));
  expect(keysOf({ a: { sha256: ABC, concurrency: 3 }, b: { env: 'COXSWAIN_KEY_B' } })).toEqual({
    a: { sha256: ABC, concurrency: 3 },
    b: { env: 'COXSWAIN_KEY_B', sha256: hashKey('b') },
  });
});

test.each([
  [{ a: { sha256: 'my-secret' } }, /server\.keys\.a\.sha256 .*64 hexadecimal digits/],
  [{ a: { sha256: ABC.toUpperCase() } }, /64 hexadecimal digits/],
  [{ a: {} }, /server\.keys\.a must have either sha256 or env/],
  [{ a: { sha256: ABC, env: 'X' } }, /either sha256 or env/],
  [{ a: { env: 'COXSWAIN_NO_SUCH' } }, /COXSWAIN_NO_SUCH is not set/],
  [{ a: { env: 'COXSWAIN_SECRET' } }, /COXSWAIN_SECRET is something else/],
  [{ a: { sha256: ABC }, b: { sha256: ABC } }, /server\.keys\.b is the same key as a/],
  [{ 'a/b': { sha256: ABC } }, /letters, digits, dots and dashes/],
  [{ a: { sha256: ABC, models: ['nope'] } }, /server\.keys\.a\.models has nope/],
  [{ a: { sha256: ABC, tokens_per_minute: 0 } }, /tokens_per_minute is 0/],
])('%j does not start, and no secret is shown', (keys, message) => {
  vi.stubEnv('COXSWAIN_SECRET', 'my-secret');
  expect(() => keysOf(keys)).toThrow(message);
  expect(() => keysOf(keys)).not.toThrow(/my-secret/);
});
