/** The HTTP process's side of the process boundary: forks the inference process, speaks its messages, and starts it again if it dies. */

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { ServeError } from '../core/errors.ts';
import type { Failure } from '../core/errors.ts';
import type { StreamEvent } from '../core/events.ts';
import type { EngineSnapshot, Inference } from '../core/inference.ts';
import type { FromWorker, ToWorker } from '../core/messages.ts';
import type { Judged, Judging } from '../core/reward.ts';
import { EventQueue, isLast } from './event_queue.ts';
import type { Logger } from './log.ts';

/** A plan, as far as this side looks into it. */
interface Named {
  readonly id: string;
}

interface InferenceOptions {
  /** The script to fork, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  readonly log: Logger;
  /** Called once, when the process cannot be kept alive. */
  readonly onGiveUp: (message: string) => void;
  readonly backoffMs?: number;
  /** A process that answers nothing for so long is ended, and started again. */
  readonly stallMs: number;
}

/** Deaths within a minute after which it is not started again. */
const DEATHS = 5;
const MINUTE = 60_000;
const SNAPSHOT_MS = 250;
/** Looks at a process that is to answer, in the time that it may take for it. */
const LOOKS = 4;
const STOP_MS = 5_000;

const NONE: EngineSnapshot = {
  requestsRunning: 0,
  requestsWaiting: 0,
  kvUsage: 0,
  iterations: 0,
  rows: 0,
  prefillTokens: 0,
  decodeSeconds: 0,
  prefillSeconds: 0,
  iterationSeconds: 0,
  prefixQueries: 0,
  prefixHits: 0,
  prefixBytes: 0,
  scoreBytes: 0,
  ruleBytes: 0,
  residentBytes: 0,
  heapBytes: 0,
  heapTotalBytes: 0,
  arrayBytes: 0,
  forwards: {},
};

const ENDED: Failure = {
  code: 'internal_error',
  message: 'the inference process ended while it worked on this request',
  param: null,
};

const failed = ({ code, message, param }: Failure): ServeError =>
  new ServeError(code, message, param);

export class InferenceProcess<P extends Named> implements Inference<P> {
  readonly #options: InferenceOptions;
  #child: ChildProcess | null = null;
  #state: Inference<P>['state'] = 'starting';
  #streams = new Map<string, EventQueue>();
  #judging = new Map<string, (judged: Judged | Failure) => void>();
  #deaths: number[] = [];
  #fatal: string | null = null;
  #seq = 0;
  #snapshots = new Map<number, (snapshot: EngineSnapshot) => void>();
  #last: EngineSnapshot = NONE;
  #everReady = false;
  /** When the process was asked for something that it has not answered; null: it has. */
  #asked: number | null = null;
  #onReady: (loadMs: number) => void = () => undefined;
  /** Milliseconds it took to load the models; settles once, with the first start. */
  readonly ready = new Promise<number>((resolve) => (this.#onReady = resolve));

  constructor(options: InferenceOptions) {
    this.#options = options;
    this.#start();
  }

  get state(): Inference<P>['state'] {
    return this.#state;
  }

  submit(plan: P, signal: AbortSignal): AsyncIterable<StreamEvent> {
    const { id } = plan;
    const stream = new EventQueue({
      pause: () => this.#send({ kind: 'pause', id }),
      resume: () => this.#send({ kind: 'resume', id }),
      leave: () => this.#send({ kind: 'abort', id }),
    });
    if (signal.aborted) stream.push([{ kind: 'end', cancelled: true, spent: 0 }]);
    else if (this.#state !== 'ready')
      stream.push([{ kind: 'failed', failure: this.#refusal(), spent: 0 }]);
    else {
      this.#streams.set(id, stream);
      signal.addEventListener('abort', () => this.#send({ kind: 'abort', id }), { once: true });
      this.#send({ kind: 'start', plan });
    }
    return stream;
  }

  async judge(asked: Judging, signal: AbortSignal): Promise<Judged> {
    signal.throwIfAborted();
    if (this.#state !== 'ready') throw failed(this.#refusal());
    const { id } = asked;
    const judged = await new Promise<Judged | Failure>((resolve, reject) => {
      const abort = (): void => {
        if (!this.#judging.delete(id)) return; // it was judged before
        this.#send({ kind: 'abort', id });
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#judging.set(id, resolve);
      this.#send({ kind: 'judge', asked });
    });
    if ('code' in judged) throw failed(judged);
    return judged;
  }

  #refusal(): Failure {
    const message = `inference is ${this.#state}; try again shortly`;
    return { code: 'overloaded', message, param: null };
  }

  async snapshot(): Promise<EngineSnapshot> {
    if (this.#state !== 'ready') return this.#last;
    const seq = this.#seq++;
    const answer = new Promise<EngineSnapshot>((resolve) => {
      this.#snapshots.set(seq, resolve);
      setTimeout(() => resolve(this.#last), SNAPSHOT_MS).unref();
    });
    this.#send({ kind: 'snapshot', seq });
    const snapshot = await answer;
    this.#snapshots.delete(seq);
    return snapshot;
  }

  /** Ends the process: by message first, since a kill in mid-run aborts noisily. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    this.#send({ kind: 'stop' });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(timer);
  }

  #send(message: ToWorker<P>): void {
    if (!this.#child?.connected) return;
    // A failed send means that the process is going; its exit fails what is in flight.
    this.#child.send(message, () => undefined);
  }

  #start(): void {
    const { script, args } = this.#options;
    const child = fork(script, args, { serialization: 'advanced' });
    this.#child = child;
    this.#fatal = null;
    child.on('message', (message: FromWorker) => this.#receive(message));
    child.on('error', (error) =>
      this.#options.log.error({ err: error.message }, 'inference process'),
    );
    const watching = this.#watch(child);
    child.on('exit', (code, signal) => {
      clearInterval(watching);
      this.#ended(signal ?? `code ${code}`);
    });
  }

  /** What a process is stuck in would hold up everybody's requests for ever. */
  #watch(child: ChildProcess): NodeJS.Timeout {
    const { stallMs } = this.#options;
    this.#asked = null;
    const look = (): void => {
      if (this.#state !== 'ready') return;
      const now = performance.now();
      if (this.#asked === null) {
        this.#asked = now;
        this.#send({ kind: 'snapshot', seq: this.#seq++ });
      } else if (now - this.#asked >= stallMs) {
        this.#fatal = `the inference process has answered nothing for ${stallMs} ms`;
        child.kill('SIGKILL');
      }
    };
    return setInterval(look, stallMs / LOOKS).unref();
  }

  #receive(message: FromWorker): void {
    this.#asked = null;
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'stopped') return;
        this.#state = 'ready';
        this.#everReady = true;
        this.#onReady(message.loadMs);
        return;
      case 'events':
        for (const [id, events] of message.batch) this.#deliver(id, events);
        return;
      case 'judged':
        this.#judging.get(message.id)?.(message.judged);
        this.#judging.delete(message.id);
        return;
      case 'snapshot':
        this.#last = message.snapshot;
        this.#snapshots.get(message.seq)?.(message.snapshot);
        return;
      case 'fatal':
        this.#fatal = message.message;
        return;
      default:
        return message satisfies never;
    }
  }

  #deliver(id: string, events: readonly StreamEvent[]): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    const last = events.at(-1);
    if (last && isLast(last)) this.#streams.delete(id);
    stream.push(events);
  }

  #ended(how: string): void {
    const streams = [...this.#streams.values()];
    this.#streams = new Map();
    for (const stream of streams) stream.push([{ kind: 'failed', failure: ENDED, spent: 0 }]);
    for (const settle of this.#judging.values()) settle(ENDED);
    this.#judging = new Map();
    if (this.#state === 'stopped') return;
    const why = this.#fatal ?? `the inference process ended (${how})`;
    this.#options.log.error({ requests: streams.length }, why);
    const now = performance.now(); // the wall clock may jump
    this.#deaths = [...this.#deaths.filter((at) => now - at < MINUTE), now];
    if (!this.#everReady || this.#deaths.length >= DEATHS) {
      this.#state = 'stopped';
      this.#options.onGiveUp(this.#everReady ? `${why}, ${DEATHS} times in a minute` : why);
      return;
    }
    this.#state = 'restarting';
    const wait = (this.#options.backoffMs ?? 200) * 2 ** (this.#deaths.length - 1);
    setTimeout(() => this.#state === 'restarting' && this.#start(), wait);
  }
}
