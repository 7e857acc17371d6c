/**
 * npm run evaluate:noise -- --models FOLDER [--prompts 200 --samples 256 --out FILE]: best-of-N up to 256 against reward models of happy of
 * which a quarter of the training labels was false (models/recipes: train_rm.py --noise 0.25). FOLDER holds them,
 * imported: rm-happy-a-noisy, rm-happy-b-noisy, rm-happy-c-noisy. They are no part of the pack.
 */

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { served } from './served.ts';
import { bestOfN, MEMBERS } from './tables/over_optimisation.ts';
import { tabulate } from './tabulate.ts';

const { values: options } = parseArgs({
  options: {
    models: { type: 'string' },
    prompts: { type: 'string', default: '200' },
    samples: { type: 'string', default: '256' },
    out: { type: 'string' },
  },
});
if (options.models === undefined) throw new Error('--models FOLDER of the noisy reward models');
const folder = resolve(options.models);
const samples = Number(options.samples);
const nameOf = (mood: string, member: string): string => `rm-${mood}-${member}-noisy`;
const entryOf = (name: string) => ({
  path: resolve(folder, name),
  role: 'reward',
  head: 'scalar',
  reads: 'prefix',
});

const question = bestOfN({
  title: 'Best-of-N against rewards of which a quarter of the labels was false',
  moods: ['happy'],
  samples,
  nameOf,
  normalize: 'pool',
  seconds: 6 * samples,
});
await tabulate([question], {
  prompts: Number(options.prompts),
  out: options.out,
  open: () =>
    served({
      memory: 'all',
      models: Object.fromEntries(
        MEMBERS.map((member) => nameOf('happy', member)).map((name) => [name, entryOf(name)]),
      ),
      limits: { documents: samples },
    }),
});
