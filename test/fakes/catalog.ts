/** A server's names and limits, all models with the byte codec. */

import type { Catalog, Limits, ModelCard, Preset } from '../../src/plan/catalog.ts';
import { byteCodec } from './codec.ts';
import { RULE_LIMITS } from './rule.ts';

const card = (name: string, role: ModelCard['role'], context = 384): [string, ModelCard] => [
  name,
  { name, role, context, codec: byteCodec, created: 1_700_000_000 },
];

const reward = (name: string, changes: Partial<ModelCard>): [string, ModelCard] => {
  const [, plain] = card(name, 'reward');
  return [name, { ...plain, ...changes }];
};

const preset = (
  name: string,
  alignment: Preset['alignment'],
  maxCost: number | null,
): [string, Preset] => [name, { name, policy: 'tales', alignment, maxCost }];

export const limits: Limits = {
  branches: 64,
  tokens: 65_536,
  guides: 4,
  rewards: 8,
  steps: 8,
  documents: 128,
  stops: 4,
  stopLength: 64,
  logitBias: 300,
  topLogprobs: 20,
  rules: RULE_LIMITS,
  messages: 256,
  weight: 16,
};

export const catalog: Catalog = {
  policy: 'tales',
  models: new Map([
    card('tales', 'policy'),
    card('arm-happy', 'guide'),
    card('arm-kind', 'guide'),
    card('arm-short', 'guide', 32),
    reward('rm-happy-a', {
      reads: 'prefix',
      stats: {
        mean: 1,
        std: 2,
        quantiles: [
          [0.1, -1],
          [0.5, 1],
          [0.9, 3],
        ],
      },
    }),
    reward('rm-late', { reads: 'complete' }),
  ]),
  presets: new Map([
    preset('tales:happy', { guides: [{ model: 'arm-happy', weight: 0.5 }], max_kl: 2 }, 256),
  ]),
  remotes: new Map([['taste', { name: 'taste', reads: 'prefix' }]]),
  limits,
  maxLength: 384,
};
