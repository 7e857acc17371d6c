/** How many threads a config gets, by the size of its models. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/ops/config.ts';
import { threadsOf } from '../../src/threads.ts';
import { TALES } from '../fakes/models.ts';
import { temporaryFolder } from './importer/checkpoint.ts';

const CORES = 4;

/** With a policy and a guide whose graphs and weights have these many MB. */
function threads(policy: number, guide: number, engine = '{}'): number {
  const folder = temporaryFolder();
  const manifest = JSON.parse(readFileSync(join(TALES, 'manifest.json'), 'utf8')) as object;
  const model = (name: string, megabytes: number): string => {
    const bytes = megabytes * 2 ** 20;
    const files = {
      'model.onnx': { bytes: 2 ** 19, sha256: '0'.repeat(64) },
      'model.onnx.data': { bytes: bytes - 2 ** 19, sha256: '0'.repeat(64) },
      'tokenizer.json': { bytes: 2 ** 30, sha256: '0'.repeat(64) },
    };
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'manifest.json'), JSON.stringify({ ...manifest, files }));
    return `{ path: ${name}, role: ${name} }`;
  };
  const models = `{ policy: ${model('policy', policy)}, guide: ${model('guide', guide)} }`;
  const file = join(folder, 'c.yaml');
  writeFileSync(file, `policy: policy\nmodels: ${models}\nengine: ${engine}\n`);
  return threadsOf(readConfig(file), CORES);
}

test('a thread for each 8 MB of the largest model, and no more than there are cores', () => {
  expect(threads(4, 1)).toBe(1);
  expect(threads(8, 8)).toBe(1);
  expect(threads(9, 1)).toBe(2);
  expect(threads(1, 17)).toBe(3);
  expect(threads(1000, 1)).toBe(CORES);
});

test('the config has the last word', () => {
  expect(threads(4, 1, '{ threads: 3 }')).toBe(3);
  expect(threads(1000, 1, '{ threads: 7 }')).toBe(7);
});
