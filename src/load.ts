/** From a config to an engine that decodes: the models that run in the inference process, and their memory. */

import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { readCodec, sharedCodecs } from './codecs.ts';
import { criticOf } from './critics.ts';
import type { ScoreModel } from './core/model.ts';
import type { Reward } from './core/reward.ts';
import { devicesOf, library } from './devices.ts';
import { DecodeEngine } from './engine/engine.ts';
import type { EngineOptions } from './engine/engine.ts';
import { Engines } from './engine/engines.ts';
import { laneWeights } from './guides/lane_weights.ts';
import { readLatentHead } from './latent_heads.ts';
import { keepsInt8 } from './kv_kind.ts';
import { classesOf } from './memory.ts';
import type { Config, ModelEntry, RemoteEntry } from './ops/config.ts';
import { describeModel } from './model_folder.ts';
import { keepsKv, verifyFiles } from './ops/manifest.ts';
import type { Manifest } from './ops/manifest.ts';
import { batched } from './rewards/batched.ts';
import { cached, scoreCache } from './rewards/cached.ts';
import type { ScoreCache } from './rewards/cached.ts';
import { httpReward } from './rewards/http.ts';
import { reader } from './rewards/reader.ts';
import type { Reader } from './rewards/reader.ts';
import { judgeOf } from './rewards/latent_head.ts';
import { scalarHead } from './rewards/scalar_head.ts';
import type { ScalarHead } from './rewards/scalar_head.ts';
import type { Loaded } from './rewards/sources.ts';
import { timed } from './rewards/timed.ts';
import { Turns } from './rewards/turns.ts';
import type { Writer } from './rewards/writer.ts';
import { KnownRules } from './rules/known.ts';
import { loadClassifier } from './runtime/exports/classifier.ts';
import { loadDecoder } from './runtime/decoder.ts';
import type { Decoder } from './runtime/decoder.ts';
import type { Device } from './runtime/devices/device.ts';
import { loadEncoder } from './runtime/encoder.ts';
import { loadExported } from './runtime/exports/exported.ts';
import { readScales } from './runtime/kv/scales.ts';
import { Ort } from './runtime/ort/ort.ts';
import { PostFailure, postTo } from './runtime/post.ts';
import { loadScorer, loadStates } from './runtime/scorer.ts';
import { shapeOf } from './runtime/shape.ts';
import { tailsOf } from './runtime/tail.ts';
import { readVectors } from './steering_vectors.ts';
import { threadsOf } from './threads.ts';
import { groupByVocabulary } from './vocabularies.ts';
import type { VocabularyGroup } from './vocabularies.ts';

/** What decodes, and what it decodes with: the same models may be asked to judge. */
export interface Decoding {
  readonly engine: Engines;
  readonly ort: Ort;
  /** Where a model of the config runs, by its name. */
  readonly deviceOf: (model: string) => Device;
  readonly decoders: ReadonlyMap<string, Decoder>;
  /** What is remembered of rules, of each vocabulary. */
  readonly rules: readonly KnownRules[];
  /** Where rewards wait for their turn beside the engines' iterations. */
  readonly turns: Turns;
}

/**
 * Verifies and loads the policies and guides of a config: an engine for each vocabulary.
 * @param onTurn called once a loop turn of any engine, before its batch forms
 * @throws Error that names the file, the model or the setting at fault
 */
export function loadEngines(config: Config, onTurn: () => void): Decoding {
  const ort = new Ort({
    threads: threadsOf(config),
    spin: config.engine.spin,
    library: library(),
  });
  const deviceOf = devicesOf(ort, config);
  const manifestOf = (name: string): Manifest => describeModel(config.models[name]!);
  const codecOf = sharedCodecs(readCodec);
  const decoders = new Map<string, Decoder>();
  const vectors = readVectors(config, manifestOf);
  const rules: KnownRules[] = [];
  const turns = new Turns({ share: config.engine.reward_share, now: () => performance.now() });
  const hooks = { onTurn, onIteration: turns.decoded.bind(turns) };
  const engines = groupByVocabulary(config, (name) => codecOf(manifestOf(name))).flatMap(
    (group) => {
      const models = group.models.map((name): [string, Decoder] => {
        const manifest = manifestOf(name);
        verifyFiles(manifest);
        const { size } = group.vocabulary;
        return [name, languageModel(deviceOf(name), config.models[name]!, manifest, name, size)];
      });
      for (const [name, model] of models) decoders.set(name, model);
      const known = new KnownRules(
        group.vocabulary,
        Math.floor(config.engine.rule_bytes * group.share),
      );
      rules.push(known);
      const engine = engineOf(config, ort, group, {
        models: new Map(models),
        known,
        vectors,
        ...hooks,
      });
      return models.map(([name]): [string, DecodeEngine] => [name, engine]);
    },
  );
  return { engine: new Engines(new Map(engines)), ort, deviceOf, decoders, rules, turns };
}

/** @throws Error that names the folder and what is wrong with its graph, or that its tokenizer has more tokens */
function languageModel(
  device: Device,
  entry: ModelEntry,
  manifest: Manifest,
  name: string,
  vocab: number,
): Decoder {
  const { folder, layout, graph } = manifest;
  const scales = keepsInt8(entry, manifest) ? readScales(folder, shapeOf(folder)) : null;
  const model =
    layout === undefined
      ? loadDecoder(device, folder, name, scales)
      : loadExported(device, folder, name, graph);
  const logits = model.states?.from ?? model.width;
  if (logits >= vocab) return model;
  throw new Error(`${folder}: the graph gives ${logits} logits, the tokenizer ${vocab} tokens`);
}

interface EngineParts extends Pick<EngineOptions, 'vectors' | 'onTurn' | 'onIteration'> {
  readonly models: ReadonlyMap<string, Decoder>;
  readonly known: KnownRules;
}

function engineOf(
  { engine: settings }: Config,
  ort: Ort,
  { vocabulary, share }: VocabularyGroup,
  { models, known, ...hooks }: EngineParts,
): DecodeEngine {
  const all = [...models.values()];
  const classes = classesOf(settings, share, all);
  const rows = classes.reduce((sum, c) => sum + c.rows, 0);
  return new DecodeEngine({
    models,
    tails: tailsOf(ort, { vocab: vocabulary.size, banned: vocabulary.banned, rows }),
    vocabulary,
    laneWeights,
    ruleOf: (network) => known.start(network),
    classes,
    iterationTokens: settings.iteration_tokens,
    prefixBytes: Math.floor(settings.prefix_bytes * share),
    queue: settings.queue,
    now: () => performance.now(),
    ...hooks,
  });
}

/**
 * Verifies and loads what the rewards of a config judge with; each model is tried once.
 * @throws Error that names the file or the model at fault
 */
export function loadRewards(
  config: Config,
  { ort, deviceOf, decoders, turns }: Pick<Decoding, 'ort' | 'deviceOf' | 'decoders' | 'turns'>,
): Loaded {
  const { reward_tokens: runTokens, reward_bytes, reward_kv_bytes } = config.engine;
  const cache = scoreCache(reward_bytes);
  const models = new Map<string, Reward>();
  const readers = new Map<string, Reader>();
  const writers = new Map<string, Writer>();
  const personal = new Map<string, Personal>();
  const codecOf = sharedCodecs(readCodec);
  const described = Object.entries(config.models).map(
    ([name, entry]) => [name, entry, describeModel(entry)] as const,
  );
  const keeping = described.filter(([, , manifest]) => keepsKv(manifest)).length;
  for (const [name, entry, manifest] of described) {
    const { reads, timeout_ms } = entry;
    if (manifest.head === undefined) {
      const codec = codecOf(manifest);
      const { size } = codec.vocabulary;
      const decoder =
        decoders.get(name) ??
        (verifyFiles(manifest), languageModel(deviceOf(name), entry, manifest, name, size));
      const model = decoder.texts(size);
      readers.set(name, reader({ model, codec, runTokens, turns, timeoutMs: timeout_ms }));
      const critic = criticOf(config, { name, model: decoder, codec, ort, turns });
      if (critic !== null) writers.set(name, critic);
      const judge = personalOf(deviceOf(name), entry, manifest, name, {
        codec,
        runTokens,
        turns,
        cache,
      });
      if (judge !== null) personal.set(name, judge);
    }
    if (manifest.head !== 'scalar') continue;
    verifyFiles(manifest);
    refuseLonger(manifest, codecOf(manifest).vocabulary.size);
    const head = scalarHead({
      model: scoreModel(deviceOf(name), entry, manifest, name, reward_kv_bytes / keeping),
      codec: codecOf(manifest),
      reads: reads ?? manifest.reads ?? 'complete',
      runTokens,
      turns,
    });
    models.set(name, timed(cached(batched(head), cache), timeout_ms));
  }
  const remotes = new Map(
    Object.entries(config.rewards).map(([name, entry]) => {
      const reward = timed(remote(name, entry), entry.timeout_ms);
      return [name, reward];
    }),
  );
  return {
    models,
    readers,
    writers,
    personal,
    remotes,
    cache,
    now: () => performance.now() / 1000,
  };
}

type Personal = (user: readonly number[]) => Reward;

/** Null: the model has no head that reads a user's latent. */
function personalOf(
  device: Device,
  entry: ModelEntry,
  manifest: Manifest,
  name: string,
  { cache, ...by }: Pick<ScalarHead, 'codec' | 'runTokens' | 'turns'> & { cache: ScoreCache },
): Personal | null {
  const head = readLatentHead(name, entry, manifest);
  if (head === null) return null;
  const states = loadStates(device, manifest.folder, name, head.hidden);
  const reads = entry.reads ?? manifest.reads ?? 'complete';
  return (user) => {
    const judge = scalarHead({ model: judgeOf(states, head, user), reads, ...by });
    const digest = createHash('sha256').update(JSON.stringify(user)).digest('hex');
    const known = { key: `${name} ${digest}`, readings: [name] };
    return timed(cached(judge, cache, known), entry.timeout_ms);
  };
}

function refuseLonger({ folder, shape }: Manifest, tokens: number): void {
  if (shape !== undefined && shape.vocab < tokens)
    throw new Error(`${folder}: the model knows ${shape.vocab} tokens, the tokenizer ${tokens}`);
}

/** @param keepBytes of KV of what it read lately, where it keeps any */
function scoreModel(
  device: Device,
  { path, graph, label }: ModelEntry,
  { layout, limits, whole }: Manifest,
  name: string,
  keepBytes: number,
): ScoreModel {
  if (layout === 'encoder') return loadEncoder(device, path, name);
  if (limits !== undefined) return loadClassifier(device, path, name, { graph, label });
  return loadScorer(device, path, name, whole ? 0 : keepBytes);
}

/** Its scores are not remembered: what it judges by may change. */
const remote = (name: string, entry: RemoteEntry): Reward =>
  httpReward({
    name,
    reads: entry.reads,
    post: postTo({
      url: entry.url,
      headers: entry.headers,
      timeoutMs: entry.attempt_ms,
      responseBytes: entry.response_bytes,
    }),
    passing: (error) => error instanceof PostFailure && error.passing,
    retries: entry.retries,
    batch: entry.batch,
    requestBytes: entry.request_bytes,
    inFlight: entry.in_flight,
    queue: entry.queue,
    failures: entry.failures,
    halfOpenMs: entry.half_open_ms,
    now: () => performance.now(),
  });
