import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ConfigError, readConfig } from '../../../src/ops/config.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'coxswain-config-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const least = 'policy: tales\nmodels: { tales: { path: m/tales, role: policy } }\n';

function written(yaml: string): string {
  const file = join(folder, 'c.yaml');
  writeFileSync(file, yaml);
  return file;
}

function refusal(file: string): string {
  try {
    readConfig(file);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('accepted');
}

test('the embedded default names the models of the pack', () => {
  const config = readConfig(null);
  expect(config.policy).toBe('tales');
  expect(Object.keys(config.models)).toContain('arm-happy-small');
  expect(Object.keys(config.presets)).toContain('tales:happy');
  expect(config.models['tales']?.path).toBe(join(import.meta.dirname, '../../../models/tales'));
  expect(config.engine).toMatchObject({ kv_slots: 64, max_seq: 384, kv_bytes: 2 ** 30 });
});

test('every bound has a default, and paths are relative to the file', () => {
  const config = readConfig(written(least));
  expect(config.models['tales']?.path).toBe(join(folder, 'm/tales'));
  expect(config.server).toMatchObject({ host: '127.0.0.1', port: 8000, socket_streams: 16 });
  expect(config.limits).toMatchObject({ branches: 64, guides: 4 });
  expect(config.engine.prefix_bytes).toBe(64 * 2 ** 20);
});

test.each([
  ['1GB', 2 ** 30],
  ['1.5MB', 1.5 * 2 ** 20],
  ['64 KB', 65_536],
  ['12B', 12],
  ['4096', 4096],
])('a size may be written %s', (size, bytes) => {
  expect(readConfig(written(`${least}engine: { kv_bytes: ${size} }`)).engine.kv_bytes).toBe(bytes);
});

test.each([
  ['engine: { kv_slotz: 64 }', 'engine.kv_slotz is not a parameter; known here: kv_slots,'],
  ['engine: { kv_slots: 0 }', 'engine.kv_slots is 0; it must be an integer from 1 to 65536'],
  ['engine: { kv_bytes: 1TB }', 'engine.kv_bytes is "1TB"; it must be a number of bytes'],
  ['engine: { kv_bytes: -1 }', 'engine.kv_bytes is -1; it must be a number of bytes'],
  ['server: { port: 99999 }', 'server.port is 99999; it must be an integer from 0 to 65535'],
  ['server: 5', 'server is 5; it must be an object'],
  ['presets: { x: { max_cost: 0 } }', 'presets.x.max_cost is 0'],
  [
    'wat: 1',
    'wat is not a parameter; known here: server, engine, limits, policy, models, rewards, steering, presets',
  ],
  ['policy: other', 'Map keys must be unique'],
  ['a: [', 'Flow sequence'],
])('%s is refused by name', (line, message) => {
  const file = written(least + line);
  expect(refusal(file)).toContain(`${file}: `);
  expect(refusal(file)).toContain(message);
});

test('a policy that is no model, an unknown role and a missing file are refused by name', () => {
  expect(refusal(written(least.replace('policy: tales', 'policy: nope')))).toContain(
    'policy is nope, which is not among models: tales',
  );
  expect(refusal(written(least.replace('role: policy', 'role: king')))).toContain(
    'models.tales.role is "king"; it must be one of policy, guide, reward, value',
  );
  expect(refusal(written(''))).toContain('policy is missing');
  expect(refusal(join(folder, 'none.yaml'))).toContain('none.yaml');
});
