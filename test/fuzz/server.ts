/** The server that is stormed: the pack within small bounds, and two tiny models, one that can be steered and one that judges for a user. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { importModel } from '../../src/importer/import.ts';
import { vectorBytes } from '../../src/steering/file.ts';
import { safetensors, TINY, writeRandomLlama } from '../support/random_llama.ts';
import { serve, type Served } from '../support/server.ts';

const LAYER = 1;
/** A head that reads latents of two numbers beside an answer's embedding of twelve. */
const HEAD = {
  'score.weight': [12, TINY.hidden],
  'decoder._model.0.weight': [10, 14],
  'decoder._model.0.bias': [10],
  'decoder._model.2.weight': [10, 10],
  'decoder._model.2.bias': [10],
  'decoder._model.4.weight': [1, 10],
  'decoder._model.4.bias': [1],
};

/** Starts it; its folder goes when it is stopped. */
export async function serveStormed(): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-fuzz-'));
  const server = await serve(['--config', written(folder)]);
  void server.gone.then(() => rmSync(folder, { recursive: true, force: true }));
  return server;
}

/** Writes the models and the config of all; returns the config's path. */
function written(folder: string): string {
  const path = (name: string): string => join(folder, name);
  writeRandomLlama(path('checkpoint'), TINY);
  const common = { from: path('checkpoint'), created: 0 } as const;
  importModel({ ...common, to: path('steered'), role: 'policy', steering: LAYER });
  importModel({ ...common, to: path('personal'), role: 'reward', hiddenStates: true });
  writeFileSync(path('personal/head.safetensors'), head());
  const values = waves(TINY.hidden);
  writeFileSync(path('calm.safetensors'), vectorBytes({ layer: LAYER, values }));
  const models = resolve('models');
  const pack = readFileSync('test/fuzz/config.yaml', 'utf8').replaceAll('../../models', models);
  const config = `${pack.replace('models:\n', `models:\n${TINY_MODELS}`)}${CALM}`;
  writeFileSync(path('config.yaml'), config);
  return path('config.yaml');
}

const waves = (size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(i));

function head(): Buffer {
  const size = (shape: readonly number[]): number =>
    shape.reduce((product, dim) => product * dim, 1);
  const tensors = Object.entries(HEAD).map(([name, shape]) => ({
    name,
    shape,
    data: waves(size(shape)),
  }));
  return safetensors(tensors);
}

const TINY_MODELS = `  steered: { path: steered, role: policy }
  personal: { path: personal, role: reward, latent_head: head.safetensors }
`;
/** The pack's config ends with its presets. */
const CALM = `  'steered:calm': { policy: steered, steering: [{ vector: calm, scale: 3 }] }
steering:
  calm: { path: calm.safetensors, model: steered }
`;
