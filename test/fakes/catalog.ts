/** A server's names and limits, all models with the byte codec. */

import type { Catalog, Limits, ModelCard, Preset } from '../../src/plan/catalog.ts';
import { byteCodec } from './codec.ts';
import { RULE_LIMITS } from './rule.ts';

const card = (
  name: string,
  role: ModelCard['role'],
  context = 384,
  vocabulary: string | null = 'tales',
  steerable = false,
): [string, ModelCard] => [
  name,
  { name, role, context, vocabulary, codec: byteCodec, steerable, created: 1_700_000_000 },
];

/** A policy that can be steered, and may write so many critiques at once. */
const writing = (name: string, critiqueRows: number): [string, ModelCard] => {
  const [, plain] = card(name, 'policy', 384, name, true);
  return [name, { ...plain, critiqueRows }];
};

const reward = (name: string, changes: Partial<ModelCard>): [string, ModelCard] => {
  const [, plain] = card(name, 'reward', 384, null);
  return [name, { ...plain, head: 'scalar', ...changes }];
};

/** A language model whose head reads so many numbers of a user. */
const personal = (name: string, users: number): [string, ModelCard] => {
  const [, plain] = card(name, 'reward', 384, null);
  return [name, { ...plain, reads: 'complete', users }];
};

const preset = (
  name: string,
  alignment: Preset['alignment'],
  maxCost: number | null,
  policy = 'tales',
): [string, Preset] => [name, { name, policy, alignment, maxCost }];

export const limits: Limits = {
  branches: 64,
  tokens: 65_536,
  guides: 4,
  rewards: 8,
  steps: 8,
  questions: 4,
  questionLength: 40,
  documents: 128,
  stops: 4,
  stopLength: 64,
  budgetMs: 600_000,
  logitBias: 300,
  topLogprobs: 20,
  promptLogprobs: 4000,
  rules: RULE_LIMITS,
  messages: 256,
  tools: 128,
  weight: 16,
  vectors: 4,
  vectorScale: 100,
};

export const catalog: Catalog = {
  policy: 'tales',
  models: new Map([
    writing('tales', 2),
    card('arm-happy', 'guide'),
    card('arm-kind', 'guide'),
    card('arm-short', 'guide', 32),
    card('sums', 'policy', 128, 'sums'),
    card('sums-tuned', 'policy', 128, 'sums', true),
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
    personal('rm-yours', 2),
  ]),
  presets: new Map([
    preset('tales:happy', { guides: [{ model: 'arm-happy', weight: 0.5 }], max_kl: 2 }, 256),
    preset('sums:n', { strategy: { type: 'best_of_n', n: 4, by: 'likelihood' } }, null, 'sums'),
  ]),
  remotes: new Map([['taste', { name: 'taste', reads: 'prefix' }]]),
  vectors: new Map([
    ['calm', { name: 'calm', model: 'tales' }],
    ['bright', { name: 'bright', model: 'tales' }],
  ]),
  limits,
  maxLength: 384,
};
