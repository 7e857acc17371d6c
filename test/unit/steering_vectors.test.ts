/** Steering vectors of a config: what does not fit its policy stops the start, by name. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeModel } from '../../src/model_folder.ts';
import { ConfigError, readConfig } from '../../src/ops/config.ts';
import { vectorBytes } from '../../src/steering/file.ts';
import { readVectors } from '../../src/steering_vectors.ts';
import { tinyFolder } from '../fakes/models.ts';
import { temporaryFolder } from './importer/checkpoint.ts';

const folder = temporaryFolder();
const [open, shut] = [tinyFolder({}, 'int8', { steering: 2 }), tinyFolder()];
const vector = (name: string, layer: number, width: number, value = 0.5): void =>
  writeFileSync(
    join(folder, `${name}.safetensors`),
    vectorBytes({ layer, values: new Float32Array(width).fill(value) }),
  );
vector('calm', 2, 64);
vector('early', 1, 64);
vector('narrow', 2, 63);
vector('huge', 2, 64, 2e9);

const YAML = `
policy: open
models:
  open: { path: ${open}, role: policy }
  shut: { path: ${shut}, role: policy }
  arm: { path: ${shut}, role: guide }
steering: { calm: { path: calm.safetensors, model: open } }
`;

function read(yaml: string) {
  const file = join(folder, 'c.yaml');
  writeFileSync(file, yaml);
  const config = readConfig(file);
  return readVectors(config, (name) => describeModel(config.models[name]!));
}

test('a vector of the right layer and width is read, from beside the config', () => {
  expect([...read(YAML)]).toEqual([['calm', new Float32Array(64).fill(0.5)]]);
});

test.each([
  [
    'model: open }',
    'model: gone }',
    'steering.calm.model is gone, which is not among models: open, shut, arm',
  ],
  [
    'model: open }',
    'model: arm }',
    'steering.calm.model is arm, whose role is guide; vectors steer policies',
  ],
  [
    'model: open }',
    'model: shut }',
    'shut, which has no steering input; import its checkpoint with --steering LAYER',
  ],
  [
    'calm.safetensors',
    'early.safetensors',
    'early.safetensors is of layer 1; open is steered after layer 2',
  ],
  ['calm.safetensors', 'narrow.safetensors', 'has 63 values; the states of open have 64'],
  [
    'calm.safetensors',
    'huge.safetensors',
    'may add states of length 1.60e+12, its own times limits.vector_scale',
  ],
  ['calm.safetensors', 'c.yaml', 'steering.calm: c.yaml'],
  ['calm.safetensors', 'gone', 'has no gone'],
])('%s as %s is refused by name', (was, is, message) => {
  const wrong = YAML.replace(was, is);
  expect(() => read(wrong)).toThrow(ConfigError);
  expect(() => read(wrong)).toThrow(message);
});

test.each([
  ['model: open }', 'model: open, scale: 2 }', 'steering.calm.scale is not a parameter'],
  [', model: open }', ' }', 'steering.calm.model is missing'],
])('%s as %s is refused by the schema', (was, is, message) => {
  expect(() => read(YAML.replace(was, is))).toThrow(message);
});
