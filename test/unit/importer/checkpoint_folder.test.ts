/** Checkpoint folders: shards, and what is not followed, not believed and not read. */

import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openWeights, readJsonIn } from '../../../src/importer/checkpoint.ts';
import { importModel } from '../../../src/importer/import.ts';
import { randomCheckpoint, temporaryFolder } from './checkpoint.ts';
import { safetensors } from './families/published.ts';

const INDEX = 'model.safetensors.index.json';

/** The checkpoint of a random Llama in three shards. */
function sharded() {
  const { folder, source } = randomCheckpoint();
  const names = ['model-00001-of-00003', 'model-00002-of-00003', 'model-00003-of-00003'];
  const map: Record<string, string> = {};
  names.forEach((shard, s) => {
    const mine = source.names.filter((_, i) => i % 3 === s);
    const shapes = Object.fromEntries(mine.map((name) => [name, source.shape(name)]));
    const values = new Map(mine.map((name) => [name, source.read(name)]));
    writeFileSync(join(folder, `${shard}.safetensors`), safetensors(shapes, values));
    mine.forEach((name) => (map[name] = `${shard}.safetensors`));
  });
  const index = (weight_map: unknown) =>
    writeFileSync(join(folder, INDEX), JSON.stringify({ metadata: {}, weight_map }));
  index(map);
  return { folder, source, map, index };
}

test('shards give the model that one file gives', () => {
  const { folder } = sharded();
  const options = {
    from: folder,
    to: join(folder, 'out', 'tiny'),
    role: 'policy',
    created: 1,
  } as const;
  const whole = importModel(options);
  rmSync(join(folder, 'model.safetensors'));
  expect(importModel({ ...options, force: true })).toEqual(whole);
});

test('a missing shard, and an index that says what is not so, are refused by name', () => {
  const { folder, map, index } = sharded();
  rmSync(join(folder, 'model.safetensors'));
  using _ = openWeights(folder);
  index({ ...map, 'model.norm.weight': 'model-00001-of-00003.safetensors' });
  expect(() => openWeights(folder)).toThrow(/model.norm.weight/);
  index({ ...map, extra: 'model-00002-of-00003.safetensors' });
  expect(() => openWeights(folder)).toThrow(
    'tensor extra is in model-00002-of-00003.safetensors; it',
  );
  const { 'model.norm.weight': _norm, ...fewer } = map;
  index(fewer);
  expect(() => openWeights(folder)).toThrow('holds tensor model.norm.weight');
  index('none');
  expect(() => openWeights(folder)).toThrow('has no weight_map');
  index(map);
  rmSync(join(folder, 'model-00002-of-00003.safetensors'));
  expect(() => openWeights(folder)).toThrow('has no model-00002-of-00003.safetensors');
});

test.each([
  '../model.safetensors',
  '/etc/model.safetensors',
  'a/b.safetensors',
  '..\\model.safetensors',
  'model.bin',
  7,
])('a shard called %o is refused', (shard) => {
  const { folder, map, index } = sharded();
  rmSync(join(folder, 'model.safetensors'));
  index({ ...map, 'model.norm.weight': shard });
  expect(() => openWeights(folder)).toThrow('a shard is a .safetensors file beside the index');
});

test('links are not followed, and what is no plain file is not opened', () => {
  const { folder } = randomCheckpoint();
  const elsewhere = join(temporaryFolder(), 'secret.json');
  writeFileSync(elsewhere, '{}');
  for (const name of ['config.json', 'model.safetensors', 'tokenizer.json']) {
    const path = join(folder, name);
    const content = readFileSync(path);
    rmSync(path);
    symlinkSync(elsewhere, path);
    const options = {
      from: folder,
      to: join(folder, 'out', 'x'),
      role: 'policy',
      created: 1,
    } as const;
    expect(() => importModel(options)).toThrow(`${path} is a link; copy the checkpoint's files`);
    rmSync(path);
    mkdirSync(path);
    expect(() => importModel(options)).toThrow(`${path} is no plain file`);
    rmSync(path, { recursive: true });
    writeFileSync(path, content);
  }
});

test('pickled weights are not read, and JSON that is none is refused with its file', () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'pytorch_model.bin'), 'program');
  expect(() => openWeights(folder)).toThrow('pytorch_model.bin is a program, not data');
  writeFileSync(join(folder, 'config.json'), '{"a":');
  expect(() => readJsonIn(folder, 'config.json')).toThrow(join(folder, 'config.json'));
  writeFileSync(join(folder, 'config.json'), '[]');
  expect(() => readJsonIn(folder, 'config.json')).toThrow('holds no JSON object');
});
