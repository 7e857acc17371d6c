/** A folder without a manifest is described by what it holds; what is verified of it is that it has no links. */

import { renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readCodec, sharedCodecs } from '../../src/codecs.ts';
import { memoryPlan } from '../../src/memory.ts';
import { describeModel } from '../../src/model_folder.ts';
import { readConfig } from '../../src/ops/config.ts';
import { verifyFiles } from '../../src/ops/manifest.ts';
import { groupByVocabulary } from '../../src/vocabularies.ts';
import { genaiFolder, optimumFolder } from '../fakes/exports.ts';
import { tinyFolder } from '../fakes/models.ts';
import { temporaryFolder } from './importer/checkpoint.ts';

const SHAPE = { layers: 2, kvHeads: 2, headDim: 16, vocab: 320, context: 128 };

test('an export has the role of the config, the sizes of its graph, and files that nobody digested', () => {
  const genai = describeModel({ path: genaiFolder('int8'), role: 'guide' });
  expect(genai).toMatchObject({ role: 'guide', layout: 'genai', shape: SHAPE });
  expect(genai.limits?.[0]).toMatch(/not verified/);
  const optimum = describeModel({ path: optimumFolder({ positions: true }), role: 'policy' });
  expect(optimum).toMatchObject({ layout: 'growing', shape: SHAPE });
  expect(Object.keys(optimum.files).toSorted()).toEqual([
    'onnx/model.onnx',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  for (const manifest of [genai, optimum]) expect(() => verifyFiles(manifest)).not.toThrow();
  const own = describeModel({ path: tinyFolder(), role: 'policy' });
  expect(own.limits).toBeUndefined();
});

test('a graph can be asked for of an export, and of no folder with a manifest', () => {
  const path = optimumFolder({ positions: true }, {}, 'onnx/mine.onnx');
  expect(() => describeModel({ path, role: 'policy' })).toThrow(/models\.NAME\.graph can name/);
  const mine = describeModel({ path, role: 'policy', graph: 'onnx/mine.onnx' });
  expect(mine.graph).toBe('onnx/mine.onnx');
  expect(Object.keys(mine.files)).toContain('onnx/mine.onnx');
  expect(() => describeModel({ path: tinyFolder(), role: 'policy', graph: 'model.onnx' })).toThrow(
    /has a manifest, which names its graph/,
  );
});

test('a link in an export is refused, as in every model folder', () => {
  const path = optimumFolder({ positions: true });
  const graph = join(path, 'onnx', 'model.onnx');
  renameSync(graph, join(path, 'blob'));
  symlinkSync(join(path, 'blob'), graph);
  expect(() => verifyFiles(describeModel({ path, role: 'policy' }))).toThrow(
    /onnx\/model\.onnx is a link/,
  );
});

test('tokenizers of two exports are never taken for one another', () => {
  const codecOf = sharedCodecs(readCodec);
  const [a, b] = [{}, { vocab: 330 }].map((changes) => genaiFolder('int8', changes));
  const sizes = [a!, b!].map(
    (path) => codecOf(describeModel({ path, role: 'policy' })).vocabulary.size,
  );
  expect(sizes).toEqual([320, 330]);
});

test('the memory plan has the copies of KV that grows', () => {
  const file = join(temporaryFolder(), 'c.yaml');
  const path = optimumFolder({ positions: true });
  writeFileSync(file, `policy: other\nmodels: { other: { path: ${path}, role: policy } }\n`);
  const config = readConfig(file);
  const codecOf = sharedCodecs(readCodec);
  const [plan] = memoryPlan(
    config,
    groupByVocabulary(config, (name) => codecOf(describeModel(config.models[name]!))),
  );
  expect(plan!.parts).toContainEqual(['KV of other, copied for each run', 2 ** 28]);
});
