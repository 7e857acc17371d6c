/** Heads of a config: what is read of a file, and what is refused by name. */

import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readLatentHead } from '../../src/latent_heads.ts';
import { describeModel } from '../../src/model_folder.ts';
import { ConfigError } from '../../src/ops/config.ts';
import { tinyFolder } from '../fakes/models.ts';
import { safetensors, type Shapes } from './importer/families/published.ts';

const folder = tinyFolder({}, 'int8', { role: 'reward', hiddenStates: true });
const blind = tinyFolder({}, 'int8', { role: 'reward' });
const scalar = tinyFolder({ score: true }, 'int8', { hiddenStates: true });

const SHAPES: Shapes = {
  'score.weight': [5, 64],
  'decoder._model.0.weight': [4, 8],
  'decoder._model.0.bias': [4],
  'decoder._model.2.weight': [6, 4],
  'decoder._model.2.bias': [6],
  'decoder._model.10.weight': [1, 6],
  'decoder._model.10.bias': [1],
};

function read(
  shapes: Readonly<Record<string, readonly number[] | undefined>> = {},
  { role = 'reward', at = folder }: { role?: 'reward' | 'policy'; at?: string } = {},
) {
  const all = Object.fromEntries(
    Object.entries({ ...SHAPES, ...shapes }).filter(([, shape]) => shape !== undefined),
  ) as Shapes;
  const values = new Map(
    Object.entries(all).map(([name, shape]) => [
      name,
      new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5),
    ]),
  );
  writeFileSync(join(at, 'head.safetensors'), safetensors(all, values));
  const manifest = describeModel({ path: at, role });
  return readLatentHead('m', { role, latent_head: 'head.safetensors' }, manifest);
}

test('layers come in the order of their numbers, behind the embedding', () => {
  const head = read()!;
  expect(head).toMatchObject({ latent: 3, hidden: 64 });
  expect(head.embedding).toMatchObject({ inputs: 64, bias: new Float32Array(5) });
  expect(head.layers.map(({ inputs, bias }) => [inputs, bias.length])).toEqual([
    [8, 4],
    [4, 6],
    [6, 1],
  ]);
});

test('without an embedding the state itself is read, and the tensors of an encoder are left alone', () => {
  const head = read({
    'score.weight': undefined,
    'decoder._model.0.weight': [4, 66],
    'pair_encoder._model.0.weight': [7, 9],
  })!;
  expect(head).toMatchObject({ latent: 2, embedding: null });
});

test('a model without one has none', () => {
  expect(
    readLatentHead('m', { role: 'reward' }, describeModel({ path: blind, role: 'reward' })),
  ).toBe(null);
});

test.each([
  [{ 'score.weight': [5, 63] }, {}, 'score.weight is of shape [5, 63]; it must be [outputs, 64]'],
  [{ 'decoder._model.0.weight': [4, 5] }, {}, 'reads 5 numbers; an answer alone has 5'],
  [{ 'decoder._model.2.weight': [6, 5] }, {}, 'is of shape [6, 5]; it must be [outputs, 4]'],
  [{ 'decoder._model.2.bias': [5] }, {}, 'bias is of shape [5]; it must be [6]'],
  [{ 'decoder._model.10.weight': undefined }, {}, 'gives 6 numbers; a reward is one'],
  [{}, { role: 'policy' as const }, 'it is for rewards; this is a policy'],
  [{}, { at: blind }, 'no output hidden_states; import its checkpoint with --hidden-states'],
  [{}, { at: scalar }, 'not for those with a head of their own'],
])('%j of %j is refused by name', (shapes, where, message) => {
  expect(() => read(shapes, where)).toThrow(ConfigError);
  expect(() => read(shapes, where)).toThrow(`models.m.latent_head is head.safetensors: `);
  expect(() => read(shapes, where)).toThrow(message);
});

test('no layer, a link and a file that is missing are refused', () => {
  const none = Object.fromEntries(Object.keys(SHAPES).map((name) => [name, undefined]));
  expect(() => read({ ...none, other: [1] })).toThrow('there is no tensor decoder._model.0.weight');
  const manifest = describeModel({ path: folder, role: 'reward' });
  symlinkSync(join(folder, 'head.safetensors'), join(folder, 'link.safetensors'));
  const asked = (latent_head: string) => () =>
    readLatentHead('m', { role: 'reward', latent_head }, manifest);
  expect(asked('link.safetensors')).toThrow('is a link');
  expect(asked('gone.safetensors')).toThrow('has no gone.safetensors');
});
