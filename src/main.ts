/** The HTTP process: config, catalog, inference process, listen, drain on SIGTERM. Composition only. */

import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Announcer } from './announce.ts';
import { Work } from './api/context.ts';
import type { Context } from './api/context.ts';
import { createApi } from './api/server.ts';
import type { ApiServer } from './api/server.ts';
import { buildCatalog } from './catalog.ts';
import { readCodec } from './codecs.ts';
import { refuseDevices, tryDevices } from './devices.ts';
import { refuseKv } from './kv_kind.ts';
import { memoryPlan, planText } from './memory.ts';
import type { MemoryPlan } from './memory.ts';
import { ambient } from './ops/ambient.ts';
import { ConfigError, readConfig } from './ops/config.ts';
import type { Config } from './ops/config.ts';
import { keepHeapSmall } from './ops/heap.ts';
import { InferenceProcess } from './ops/inference.ts';
import { createLog, endUncaught, standardError } from './ops/log.ts';
import { Metrics } from './ops/metrics.ts';
import { loadTracing, untraced } from './ops/tracing.ts';
import type { Tracing } from './ops/tracing.ts';
import type { Catalog } from './plan/catalog.ts';
import { planner } from './plan/parse.ts';
import type { Plan } from './plan/plan.ts';
import { groupByVocabulary } from './vocabularies.ts';

/** What the command line may set; null leaves it to the config. */
interface ServeOptions {
  readonly config: string | null;
  readonly host: string | null;
  readonly port: number | null;
  /** Read the config, the manifests, checksums and tokenizers, try the presets and the devices, and stop there. */
  readonly check: boolean;
  /** The same, and say what memory it would take. */
  readonly dryRun: boolean;
}

/** Serves until it is told to stop, or only checks all that the config names. Resolves with the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  keepHeapSmall();
  try {
    const config = readConfig(options.config);
    const catalog = buildCatalog(config, readCodec);
    const plan = planOf(config, catalog);
    const tracing = config.server.tracing ? await loadTracing() : untraced;
    if (!options.check && !options.dryRun)
      return await serveConfig(config, catalog, tracing, options);
    tryDevices(config);
    const { models, presets } = catalog;
    console.log(`${config.file} is fine: ${models.size} models, ${presets.size} presets`);
    if (options.dryRun) console.log(plan.map(planText).join('\n'));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(`coxswain cannot start: ${error.message}`);
    return 1;
  }
}

/** @throws ConfigError with the numbers, with the device that a model cannot run on, or the KV that it cannot keep */
function planOf(config: Config, { models }: Catalog): MemoryPlan[] {
  refuseDevices(config);
  refuseKv(config);
  return memoryPlan(
    config,
    groupByVocabulary(config, (name) => models.get(name)!.codec),
  );
}

async function serveConfig(
  config: Config,
  catalog: Catalog,
  tracing: Tracing,
  options: ServeOptions,
): Promise<number> {
  const log = createLog(config.server.log, standardError(config.server.log_bytes));
  endUncaught(log);
  const announcer = new Announcer(log, process.stdout.isTTY);
  let giveUp: (message: string) => void = () => undefined;
  const hopeless = new Promise<string>((resolve) => (giveUp = resolve));
  const inference = new InferenceProcess<Plan>({
    script: fileURLToPath(new URL('./worker.js', import.meta.url)),
    args: [config.file],
    log,
    onGiveUp: giveUp,
    stallMs: config.engine.stall_ms,
  });
  const { server } = config;
  const api = apiOf(server, catalog, { inference, tracing, log });
  try {
    await listen(api, options.host ?? server.host, options.port ?? server.port);
    announcer.listening(urlOf(api), version(), config, catalog);
    void watchLoading(announcer, inference);
    const message = await Promise.race([told(), hopeless]);
    if (message === null) {
      announcer.stopping(server.drain_ms);
      await api.drain(server.drain_ms);
      return 0;
    }
    console.error(`coxswain stops: ${message}`);
    return 1;
  } finally {
    api.http.closeAllConnections();
    await inference.stop();
    log.flush();
  }
}

const apiOf = (
  settings: Config['server'],
  catalog: Catalog,
  parts: Pick<Context, 'inference' | 'tracing' | 'log'>,
): ApiServer =>
  createApi({
    ...parts,
    catalog,
    planner: planner(catalog),
    metrics: new Metrics(),
    ambient,
    settings,
    version: version(),
    work: new Work(),
  });

export function version(): string {
  const file = new URL('../package.json', import.meta.url);
  const { version: found } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return found;
}

function listen({ http }: ApiServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new ConfigError(`cannot listen on ${host}:${port}: ${error.message}`));
    http.once('error', failed);
    http.listen(port, host, () => {
      http.off('error', failed);
      resolve();
    });
  });
}

function urlOf({ http }: ApiServer): string {
  const { address, family, port } = http.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** Says when the models are loaded, and that they are not as long as they are not. */
async function watchLoading(
  announcer: Announcer,
  inference: InferenceProcess<Plan>,
): Promise<void> {
  const loaded = announcer.loading();
  const ms = await inference.ready;
  loaded();
  announcer.ready(ms, await inference.snapshot());
}

/** A process group and npm may both pass on one signal: only a later one is a second. */
const SAME_SIGNAL_MS = 1000;

/** Resolves with null at the first SIGTERM or SIGINT; the second one ends the process at once. */
function told(): Promise<null> {
  return new Promise((resolve) => {
    let first: number | null = null;
    const onSignal = (): void => {
      const now = performance.now();
      first ??= now;
      if (now - first > SAME_SIGNAL_MS) process.exit(1);
      resolve(null);
    };
    process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
    if (process.env['npm_lifecycle_event'] !== undefined) onOrphaned(() => resolve(null));
  });
}

const ORPHAN_POLL_MS = 250;

/** npm's shell dies of a signal without passing it on: under npm, losing the parent is being told to stop. */
function onOrphaned(stop: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, ORPHAN_POLL_MS);
  timer.unref();
}
