/** Builds the catalog from the config: checks every model's files, reads their tokenizers, tries every preset. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sharedCodecs } from './codecs.ts';
import type { LoadCodec } from './codecs.ts';
import { ServeError } from './core/errors.ts';
import { check, integer, list, number, table, text, tolerant } from './core/fields.ts';
import type { Codec } from './core/text.ts';
import { ConfigError, reason } from './ops/config.ts';
import type { Config, ModelEntry } from './ops/config.ts';
import { readLatentHead } from './latent_heads.ts';
import { describeModel } from './model_folder.ts';
import { verifyFiles } from './ops/manifest.ts';
import type { Manifest } from './ops/manifest.ts';
import type { Catalog, Limits, ModelCard, Preset } from './plan/catalog.ts';
import { ANYTHING } from './plan/grant.ts';
import { planner } from './plan/parse.ts';
import { readVectors } from './steering_vectors.ts';
import { groupByVocabulary } from './vocabularies.ts';

/** @throws ConfigError that names what does not fit */
export function buildCatalog(config: Config, loadCodec: LoadCodec): Catalog {
  refuseNoPolicy(config, 'policy', config.policy);
  const codecOf = sharedCodecs(loadCodec);
  const cards = Object.entries(config.models).map(([name, entry]) => cardOf(name, entry, codecOf));
  const models = new Map(cards.map((card) => [card.name, card]));
  for (const { name, models: members } of groupByVocabulary(config, (of) => models.get(of)!.codec))
    for (const member of members) models.set(member, speaking(models.get(member)!, name));
  const catalog: Catalog = {
    policy: config.policy,
    models,
    presets: new Map(Object.entries(config.presets).map(presetOf(config))),
    remotes: new Map(
      Object.entries(config.rewards).map(([name, { reads }]) => [name, { name, reads }]),
    ),
    vectors: new Map(vectorCards(config)),
    maxLength: config.engine.max_seq,
    limits: limitsOf(config),
  };
  tryPresets(catalog, config.file);
  return catalog;
}

/** Their files are read, so that one that is damaged is refused here; the other process keeps what they hold. */
const vectorCards = (config: Config) =>
  [...readVectors(config, (model) => describeModel(config.models[model]!)).keys()].map(
    (name) => [name, { name, model: config.steering[name]!.model }] as const,
  );

function limitsOf({ limits, engine }: Config): Limits {
  return {
    branches: limits.branches,
    tokens: limits.tokens,
    guides: limits.guides,
    rewards: limits.rewards,
    steps: limits.steps,
    questions: limits.questions,
    questionLength: limits.question_length,
    documents: limits.documents,
    stops: limits.stops,
    stopLength: limits.stop_length,
    budgetMs: limits.budget_ms,
    logitBias: limits.logit_bias,
    topLogprobs: limits.top_logprobs,
    promptLogprobs: limits.prompt_logprobs,
    messages: limits.messages,
    tools: limits.tools,
    weight: limits.weight,
    vectors: limits.vectors,
    vectorScale: limits.vector_scale,
    rules: {
      bytes: limits.schema_bytes,
      depth: limits.schema_depth,
      schemas: limits.schemas,
      values: limits.schema_values,
      pattern: limits.schema_pattern,
      states: limits.rule_states,
      cacheBytes: engine.rule_bytes,
    },
  };
}

const modelConfig = tolerant({ max_position_embeddings: integer(1, 100_000_000) });

/** The card's tokenizer is read when first asked for: models that this version does not use cost a checksum only. */
function cardOf(
  name: string,
  entry: ModelEntry,
  codecOf: (manifest: Manifest) => Codec,
): ModelCard {
  const manifest = describeModel(entry);
  const { folder, limits } = manifest;
  const path = limits === undefined ? join(folder, 'manifest.json') : folder;
  for (const key of ['role', 'head', 'reads'] as const) {
    const [asked, stored] = [entry[key], manifest[key]];
    if (asked !== undefined && asked !== stored)
      throw new ConfigError(`models.${name}.${key} is ${asked}, but ${path} says ${stored}`);
  }
  if (entry.critique_rows > 0 && manifest.head !== undefined)
    throw new ConfigError(
      `models.${name}.critique_rows is ${entry.critique_rows}, but a model with a head writes nothing; leave it out`,
    );
  verifyFiles(manifest);
  const latentHead = readLatentHead(name, entry, manifest);
  return {
    name,
    role: entry.role,
    context: contextOf(manifest),
    vocabulary: null,
    ...(manifest.steering === undefined ? {} : { steerable: true }),
    ...(manifest.head === undefined ? {} : { head: manifest.head }),
    ...(latentHead === null ? {} : { users: latentHead.latent }),
    ...(entry.critique_rows === 0 ? {} : { critiqueRows: entry.critique_rows }),
    ...(manifest.reads === undefined ? {} : { reads: manifest.reads }),
    ...(manifest.shape?.states === undefined ? {} : { layerStates: true as const }),
    ...factsOf(manifest, path),
    ...schedulesOf(manifest, path),
    created: manifest.created,
    get codec() {
      return codecOf(manifest);
    },
  };
}

const share = z.string().regex(/^(0(\.\d+)?|1(\.0+)?)$/, 'keyed by shares from 0 to 1');
const FAR = 1e9;
const facts = tolerant({
  stats: tolerant({
    mean: number(-FAR, FAR),
    std: number(0, FAR),
    quantiles: table(share, number(-FAR, FAR), 'an object of scores by share'),
  }).optional(),
  self_evaluation: tolerant({
    question: text(10_000, 1),
    scale: number(1e-6, FAR),
    shift: number(-FAR, FAR),
  }).optional(),
});

type Facts = Pick<ModelCard, 'stats' | 'selfEvaluation'>;

/** What the manifest has measured. @throws ConfigError that names the figure at fault */
function factsOf({ role, facts: raw }: Manifest, path: string): Facts {
  try {
    const { stats, self_evaluation: selfEvaluation } = check(facts, raw, 'facts');
    if (role !== 'reward') return selfEvaluation === undefined ? {} : { selfEvaluation };
    if (stats === undefined) return {};
    const quantiles = Object.entries(stats.quantiles)
      .map(([at, score]) => [Number(at), score] as const)
      .toSorted(([a], [b]) => a - b);
    return { stats: { mean: stats.mean, std: stats.std, quantiles } };
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

const SHARE = number(0, 1);
const pruningFacts = tolerant({
  pruning: list(
    tolerant({
      n: integer(2, 65_536),
      alphas: table(
        z.string().regex(/^[1-9]\d{0,6}$/, 'keyed by a number of tokens'),
        number(0, 0.99),
        'an object of shares by number of tokens',
      ),
      loss: SHARE,
      most: SHARE,
      saved: SHARE,
    }),
    256,
  ).optional(),
});

/** @throws ConfigError that names the figure at fault */
function schedulesOf({ role, facts }: Manifest, path: string): Pick<ModelCard, 'schedules'> {
  if (role !== 'reward') return {};
  try {
    const { pruning = [] } = check(pruningFacts, facts, 'facts');
    const schedules = pruning.map(({ n, alphas, loss, most, saved }) => {
      const decisions = Object.entries(alphas).map(([at, alpha]) => ({ at: Number(at), alpha }));
      return { n, alphas: decisions.toSorted((a, b) => a.at - b.at), loss, most, saved };
    });
    return { schedules };
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

function contextOf({ folder, shape }: Manifest): number {
  if (shape !== undefined) return shape.context;
  const path = join(folder, 'config.json');
  try {
    const raw: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return check(modelConfig, raw, '').max_position_embeddings;
  } catch (error) {
    throw new ConfigError(`${path}: ${reason(error)}`);
  }
}

/** Its codec is read by now. */
const speaking = (card: ModelCard, vocabulary: string): ModelCard => ({ ...card, vocabulary });

function refuseNoPolicy({ file, models }: Config, at: string, name: string): void {
  const role = models[name]?.role;
  if (role === 'policy') return;
  const what = role === undefined ? 'which is not among models' : `whose role is ${role}`;
  throw new ConfigError(`${file}: ${at} is ${name}, ${what}`);
}

const presetOf =
  (config: Config) =>
  ([name, preset]: [string, Config['presets'][string]]): [string, Preset] => {
    if (Object.hasOwn(config.models, name))
      throw new ConfigError(`${config.file}: presets.${name} has the name of a model`);
    const policy = preset.policy ?? config.policy;
    refuseNoPolicy(config, `presets.${name}.policy`, policy);
    return [name, { ...preset, name, policy }];
  };

/** A preset must be a request's `alignment` that works: each is tried once. */
function tryPresets(catalog: Catalog, file: string): void {
  const parser = planner(catalog);
  for (const model of catalog.presets.keys()) {
    try {
      const body = { model, prompt: '', max_tokens: 1 };
      parser.completion(body, { id: '', request: '', seed: 0, grant: ANYTHING, socket: false });
    } catch (error) {
      if (!(error instanceof ServeError)) throw error;
      throw new ConfigError(`${file}: presets.${model}: ${error.message}`);
    }
  }
}
