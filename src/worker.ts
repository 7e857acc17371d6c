/** The inference process: plans in, events out, over one engine. Composition only. */

import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { ServeError, toFailure } from './core/errors.ts';
import type { StreamEvent } from './core/events.ts';
import type { EngineSnapshot } from './core/inference.ts';
import { sum } from './core/math.ts';
import type { FromWorker, ToWorker } from './core/messages.ts';
import type { Evaluation, Judging } from './core/reward.ts';
import { loadEngines, loadRewards } from './load.ts';
import type { Decoding } from './load.ts';
import { readConfig } from './ops/config.ts';
import { createLog, endUncaught, standardError } from './ops/log.ts';
import type { Logger } from './ops/log.ts';
import type { Plan } from './plan/plan.ts';
import { rewardOf } from './rewards/compose.ts';
import type { Loaded } from './rewards/sources.ts';
import { Gate } from './run/gate.ts';
import { run } from './run/run.ts';

const send = (message: FromWorker): void => void process.send?.(message);

/** Events of all requests, sent as one message a turn. */
class Outbox {
  #batch = new Map<string, StreamEvent[]>();
  #scheduled = false;

  add(id: string, event: StreamEvent): void {
    const events = this.#batch.get(id);
    if (events === undefined) this.#batch.set(id, [event]);
    else events.push(event);
    if (this.#scheduled) return;
    this.#scheduled = true; // for turns in which the engine is idle
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#batch.size === 0) return;
    send({ kind: 'events', batch: [...this.#batch] });
    this.#batch = new Map();
  }
}

interface Request {
  readonly abort: AbortController;
  /** Stays open where texts are judged: nobody falls behind with those. */
  readonly gate: Gate;
}

interface Parts {
  readonly decoding: Decoding;
  readonly loaded: Loaded;
  readonly outbox: Outbox;
  readonly log: Logger;
}

/** What is generated and judged at present, each under its id until it ends. */
class Serving {
  readonly #parts: Parts;
  readonly #requests = new Map<string, Request>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  obey(message: ToWorker<Plan>): void {
    switch (message.kind) {
      case 'start':
        return this.#start(message.plan);
      case 'abort':
        return this.#requests.get(message.id)?.abort.abort();
      case 'pause':
        return this.#requests.get(message.id)?.gate.close();
      case 'resume':
        return this.#requests.get(message.id)?.gate.open();
      case 'judge':
        return this.#judge(message.asked);
      case 'snapshot':
        return send({ kind: 'snapshot', seq: message.seq, snapshot: snapshotOf(this.#parts) });
      case 'stop':
        process.exit(0); // messages arrive between iterations: no run is in flight
      default:
        return message satisfies never;
    }
  }

  #start(plan: Plan): void {
    const { decoding, loaded, outbox, log } = this.#parts;
    const { abort, gate } = this.#begin(plan.id);
    const running = run(plan, {
      engine: decoding.engine,
      rewardOf: (asked, told, signal) => rewardOf(asked, loaded, told, signal),
      gate,
      signal: abort.signal,
      emit: (event) => outbox.add(plan.id, event),
      after: (ms, call) => {
        const timer = setTimeout(call, ms);
        return () => clearTimeout(timer);
      },
      onBug: (error) => log.error({ err: error, request: plan.request }, 'inference'),
    });
    void running.finally(() => this.#requests.delete(plan.id)); // run does not reject
  }

  #judge(asked: Judging): void {
    const { signal } = this.#begin(asked.id).abort;
    setMaxListeners(0, signal); // each member listens
    const judging = judged(asked, this.#parts, signal);
    void judging.finally(() => this.#requests.delete(asked.id)); // judged does not reject
  }

  #begin(id: string): Request {
    const request = { abort: new AbortController(), gate: new Gate() };
    this.#requests.set(id, request);
    return request;
  }
}

async function judged(
  { id, request, reward, candidates }: Judging,
  { loaded, log }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const evaluations: Evaluation[] = [];
  try {
    const judge = rewardOf(reward, loaded, (evaluation) => evaluations.push(evaluation), signal);
    const scores = await judge.score(candidates);
    send({ kind: 'judged', id, judged: { scores, evaluations } });
  } catch (error) {
    if (signal.aborted) return; // nobody waits for it
    log.error({ err: error, request }, 'inference');
    const failure = new ServeError('reward_failed', 'a reward model failed on this request');
    send({ kind: 'judged', id, judged: toFailure(failure) });
  }
}

function snapshotOf({ decoding: { engine, rules }, loaded: { cache } }: Parts): EngineSnapshot {
  const { running, waiting, kvUsage } = engine.load;
  const { queries, hits, bytes } = engine.cache;
  const { rss, heapUsed, heapTotal, arrayBuffers } = process.memoryUsage();
  return {
    ...engine.stats,
    requestsRunning: running,
    requestsWaiting: waiting,
    kvUsage,
    prefixQueries: queries,
    prefixHits: hits,
    prefixBytes: bytes,
    scoreBytes: cache.calculatedSize,
    ruleBytes: sum(rules.map(({ bytes: each }) => each)),
    residentBytes: rss,
    heapBytes: heapUsed,
    heapTotalBytes: heapTotal,
    arrayBytes: arrayBuffers,
  };
}

// The terminal sends SIGINT to both processes: the parent drains, then says stop.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
try {
  const started = performance.now();
  const outbox = new Outbox();
  const config = readConfig(process.argv[2] ?? null);
  const log = createLog(config.server.log, standardError(config.server.log_bytes));
  endUncaught(log);
  const decoding = loadEngines(config, () => outbox.flush());
  const loaded = loadRewards(config, decoding);
  const serving = new Serving({ decoding, loaded, outbox, log });
  process.on('message', (message: ToWorker<Plan>) => serving.obey(message));
  process.on('disconnect', () => process.exit(0));
  send({ kind: 'ready', loadMs: performance.now() - started });
} catch (error) {
  const message = error instanceof Error ? error.message : toFailure(error).message;
  process.send?.({ kind: 'fatal', message } satisfies FromWorker, () => process.exit(1));
}
