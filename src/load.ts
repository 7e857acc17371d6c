/** From a config to an engine that decodes: the models that run in the inference process, and their memory. */

import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { LanguageModel } from './core/model.ts';
import type { Reward } from './core/reward.ts';
import { lengthClasses } from './engine/classes.ts';
import { DecodeEngine } from './engine/engine.ts';
import { laneWeights } from './guides/lane_weights.ts';
import type { Config, RemoteEntry } from './ops/config.ts';
import { readManifest, verifyFiles } from './ops/manifest.ts';
import { batched } from './rewards/batched.ts';
import { cached, scoreCache } from './rewards/cached.ts';
import { httpReward } from './rewards/http.ts';
import { scalarHead } from './rewards/scalar_head.ts';
import type { Loaded } from './rewards/sources.ts';
import { timed } from './rewards/timed.ts';
import { Turns } from './rewards/turns.ts';
import { knownRules } from './rules/known.ts';
import { loadDecoder } from './runtime/decoder.ts';
import { Ort } from './runtime/ort.ts';
import { libraryPath } from './runtime/ort_path.ts';
import { PostFailure, postTo } from './runtime/post.ts';
import { loadScorer } from './runtime/scorer.ts';
import { tailsOf } from './runtime/tail.ts';
import { loadCodec } from './runtime/tokenizer.ts';
import { assertSameVocabulary } from './runtime/vocabulary.ts';

/**
 * Verifies and loads the policy and the guides of a config.
 * @param onTurn called once a loop turn, before the batch forms
 * @throws Error that names the file, the model or the setting at fault
 */
export function loadEngine(config: Config, onTurn: () => void): { engine: DecodeEngine; ort: Ort } {
  const { threads, spin, max_seq, kv_slots, kv_bytes, iteration_tokens, prefix_bytes, queue } =
    config.engine;
  const ort = new Ort({
    threads: threads === 0 ? availableParallelism() : threads,
    spin,
    library: process.env['COXSWAIN_ORT_LIB'] ?? libraryPath(),
  });
  const codec = loadCodec(config.models[config.policy]!.path);
  const models = new Map<string, LanguageModel>();
  for (const [name, { path, role }] of Object.entries(config.models)) {
    if (role !== 'policy' && role !== 'guide') continue;
    verifyFiles(readManifest(path));
    assertSameVocabulary([config.policy, codec.vocabulary], [name, loadCodec(path).vocabulary]);
    models.set(name, loadDecoder(ort, path, name));
  }
  const all = [...models.values()];
  const classes = lengthClasses(
    Math.min(max_seq, Math.max(...all.map((m) => m.context))),
    kv_slots,
    kv_bytes,
    all.reduce((sum, m) => sum + m.kvBytes, 0),
  );
  const rows = classes.reduce((sum, c) => sum + c.rows, 0);
  const { vocabulary } = codec;
  const engine = new DecodeEngine({
    models,
    tails: tailsOf(ort, { vocab: vocabulary.size, banned: vocabulary.banned, rows }),
    vocabulary,
    laneWeights,
    ruleOf: knownRules(vocabulary, config.engine.rule_bytes),
    classes,
    iterationTokens: iteration_tokens,
    prefixBytes: prefix_bytes,
    queue,
    now: () => performance.now(),
    onTurn,
  });
  return { engine, ort };
}

/**
 * Verifies and loads what the rewards of a config judge with; each model is tried once.
 * @throws Error that names the file or the model at fault
 */
export function loadRewards(config: Config, ort: Ort): Loaded {
  const { reward_tokens: runTokens, reward_bytes } = config.engine;
  const [turns, cache] = [new Turns(), scoreCache(reward_bytes)];
  const models = new Map<string, Reward>();
  for (const [name, { path, role, reads, timeout_ms }] of Object.entries(config.models)) {
    if (role !== 'reward') continue;
    const manifest = readManifest(path);
    verifyFiles(manifest);
    const head = scalarHead({
      model: loadScorer(ort, path, name),
      codec: loadCodec(path),
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
  return { models, remotes, now: () => performance.now() / 1000 };
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
  });
