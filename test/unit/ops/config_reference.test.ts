import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configSchema } from '../../../src/ops/config_schema.ts';
import { REFERENCE, reference } from '../../support/config_reference.ts';

test('docs/config.md is what the schema says: npm run docs writes it', async () => {
  expect(readFileSync(REFERENCE, 'utf8')).toBe(await reference());
});

test('every setting is in it, with what it is for and, where it has one, its default', async () => {
  const written = await reference();
  for (const part of ['server', 'engine', 'limits'] as const)
    for (const key of Object.keys(configSchema.shape[part].def.innerType.shape))
      expect(written).toMatch(new RegExp(`\\| \`${key}\` +\\| [^|]+ \\| [^|]*\\| \\S[^|]+\\.`));
  expect(written).toMatch(/`port` +\| an integer, 0 to 65,535 +\| `8000`/);
  expect(written).toMatch(/`kv_bytes` +\| a size +\| `1GB`/);
  expect(written).toMatch(/`keys.NAME.concurrency`/);
  expect(written).toMatch(/`NAME.half_open_ms`/);
});
