/** The real HTTP side on a real port, with a fake inference process behind it. */

import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { Work } from '../../src/api/context.ts';
import { createApi } from '../../src/api/server.ts';
import type { ApiServer } from '../../src/api/server.ts';
import type { ServerSettings } from '../../src/ops/config.ts';
import { ambient } from '../../src/ops/ambient.ts';
import { createLog } from '../../src/ops/log.ts';
import { Metrics } from '../../src/ops/metrics.ts';
import { untraced } from '../../src/ops/tracing.ts';
import { planner } from '../../src/plan/parse.ts';
import { catalog } from './catalog.ts';
import { FakeInference } from './inference.ts';

const SETTINGS: ServerSettings = {
  host: '127.0.0.1',
  port: 0,
  log: 'silent',
  log_bytes: 2 ** 20,
  log_prompts: false,
  tracing: false,
  drain_ms: 1000,
  keys: {},
  open_routes: [],
  origins: [],
  header_bytes: 16 * 1024,
  body_bytes: 2 ** 20,
  request_ms: 5000,
  slow_reader_ms: 300,
  connections: 512,
  sockets: 4,
  socket_streams: 16,
  socket_buffer_bytes: 256 * 1024,
  socket_ping_ms: 30_000,
  scored_texts: 256,
  socket_ms: 60_000,
  responses: { entries: 100, bytes: 2 ** 20, socket_entries: 2, socket_bytes: 2 ** 20 },
};

export interface Served extends AsyncDisposable {
  readonly api: ApiServer;
  readonly inference: FakeInference;
  readonly base: string;
  readonly port: number;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

export async function served(
  settings: Partial<ServerSettings> = {},
  log = createLog('silent'),
  tracing = untraced,
): Promise<Served> {
  const inference = new FakeInference();
  const api = createApi({
    catalog,
    planner: planner(catalog),
    inference,
    metrics: new Metrics(),
    tracing,
    log,
    ambient,
    settings: { ...SETTINGS, ...settings },
    version: '9.9.9',
    work: new Work(),
  });
  await new Promise<void>((resolve) => api.http.listen(0, '127.0.0.1', resolve));
  const { port } = api.http.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  return {
    api,
    inference,
    base,
    port,
    post: (path, body, init = {}) =>
      fetch(base + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...init,
      }),
    async [Symbol.asyncDispose]() {
      api.http.closeAllConnections();
      await new Promise((resolve) => api.http.close(resolve));
    },
  };
}

/** A frame as it came; members are read by the tests. */
// eslint-disable-next-line typescript/no-explicit-any
export type Json = Record<string, any>;

/** A socket that keeps what it received. */
export class Client implements AsyncDisposable {
  readonly ws: WebSocket;
  readonly frames: Json[] = [];
  #wake: () => void = () => undefined;
  closed = false;

  constructor(
    port: number,
    path = '/v1/chat/completions',
    { protocols = [], ...options }: ClientOptions & { protocols?: string[] } = {},
  ) {
    this.ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
    this.ws.on('message', (data: Buffer) => {
      this.frames.push(JSON.parse(data.toString('utf8')) as Json);
      this.#wake();
    });
    this.ws.on('error', () => undefined);
    this.ws.on('close', () => {
      this.closed = true;
      this.#wake();
    });
  }

  async open(): Promise<this> {
    await new Promise((resolve, reject) => this.ws.on('open', resolve).on('error', reject));
    return this;
  }

  send(frame: unknown): void {
    this.ws.send(JSON.stringify(frame));
  }

  /** Waits until the frames satisfy a condition. */
  async until(condition: (frames: readonly Json[]) => boolean): Promise<void> {
    while (!condition(this.frames)) {
      if (this.closed) throw new Error(`closed after ${JSON.stringify(this.frames.slice(-3))}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  of(id: string, type: string): Json[] {
    return this.frames.filter((frame) => frame['id'] === id && frame['type'] === type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ws.terminate();
    await Promise.resolve();
  }
}
