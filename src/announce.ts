/** What an operator sees of a server that starts and stops: sentences on a terminal, JSON lines in the log otherwise. */

import type { EngineSnapshot } from './core/inference.ts';
import { sum } from './core/math.ts';
import { placeOf } from './devices.ts';
import { describeModel } from './model_folder.ts';
import type { Config } from './ops/config.ts';
import type { Logger } from './ops/log.ts';
import type { Catalog, ModelCard } from './plan/catalog.ts';
import { threadsOf } from './threads.ts';

/** Loading that takes longer than this is worth a word, and another each time it has passed again. */
const PATIENCE_MS = 1000;

const ROLES = [
  'policy',
  'guide',
  'reward',
  'value',
] as const satisfies readonly ModelCard['role'][];

export class Announcer {
  readonly #log: Logger;
  readonly #terminal: boolean;

  /** @param terminal whether a person reads along */
  constructor(log: Logger, terminal: boolean) {
    [this.#log, this.#terminal] = [log, terminal];
  }

  /** What it serves, where, and from what. */
  listening(url: string, version: string, config: Config, catalog: Catalog): void {
    const facts = factsOf(config, catalog);
    const { models, presets, model_bytes: files, kv_bytes: kv, threads, keys } = facts;
    const lines = [
      `coxswain ${version}, ${config.file}`,
      ...ROLES.filter((role) => models[role].length > 0).map(
        (role) => `  ${role.padEnd(9)}${models[role].join(', ')}`,
      ),
      ...Object.entries(facts.exported ?? {}).map(
        ([name, limits]) => `  exported ${name}: ${limits.join('; ')}`,
      ),
      `  presets  ${presets.join(', ') || 'none'}`,
      `  device   ${facts.device}, ${threads} threads`,
      `  memory   ${megabytes(files)} of model files, up to ${megabytes(kv)} of KV`,
      `  keys     ${keys === 0 ? 'none: everybody who reaches this address is let in' : keys}`,
      `  listening on ${url}, loading models`,
    ];
    this.#say({ url, version, config: config.file, ...facts }, 'listening', lines.join('\n'));
  }

  /** Says how long loading takes, while it does. Returns what ends it. */
  loading(): () => void {
    const began = performance.now();
    const timer = setInterval(() => {
      const seconds = Math.round((performance.now() - began) / 1000);
      this.#say({ seconds }, 'loading', `  loading models, ${seconds} s`);
    }, PATIENCE_MS);
    timer.unref();
    return () => clearInterval(timer);
  }

  ready(loadMs: number, { residentBytes }: EngineSnapshot): void {
    const ms = Math.round(loadMs);
    this.#say(
      { load_ms: ms, resident_bytes: residentBytes },
      'ready',
      `  ready, models loaded in ${ms} ms; inference holds ${megabytes(residentBytes)}`,
    );
  }

  stopping(drainMs: number): void {
    const sentence = `coxswain is stopping; running requests have ${drainMs} ms to finish`;
    this.#say({ drain_ms: drainMs }, 'stopping', sentence);
  }

  #say(facts: object, event: string, sentence: string): void {
    if (this.#terminal) console.log(sentence);
    else this.#log.info(facts, event);
  }
}

function factsOf(config: Config, catalog: Catalog) {
  const { models, engine, server } = config;
  const named = (wanted: ModelCard['role']): string[] =>
    [...catalog.models.values()].filter(({ role }) => role === wanted).map(({ name }) => name);
  const manifests = Object.entries(models).map(
    ([name, entry]) => [name, describeModel(entry)] as const,
  );
  const bytes = manifests.flatMap(([, { files }]) =>
    Object.values(files).map((file) => file.bytes),
  );
  const exported = manifests.flatMap(([name, { limits }]) =>
    limits === undefined ? [] : [[name, limits] as const],
  );
  return {
    models: {
      policy: named('policy'),
      guide: named('guide'),
      reward: named('reward'),
      value: named('value'),
    },
    presets: [...catalog.presets.keys()],
    device: devicesSaid(models),
    threads: threadsOf(config),
    model_bytes: sum(bytes),
    kv_bytes: engine.kv_bytes,
    keys: Object.keys(server.keys).length,
    ...(exported.length > 0 ? { exported: Object.fromEntries(exported) } : {}),
  };
}

/** The device of all models, or each with its own. */
function devicesSaid(models: Config['models']): string {
  const by = new Map<string, string[]>();
  for (const [name, entry] of Object.entries(models))
    by.set(placeOf(entry), [...(by.get(placeOf(entry)) ?? []), name]);
  if (by.size === 1) return [...by.keys()].join();
  return [...by].map(([place, names]) => `${place} (${names.join(', ')})`).join(', ');
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;
