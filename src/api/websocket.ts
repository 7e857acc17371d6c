/** Chat and completions over a WebSocket: many requests share one socket, each with the client's own id. */

import { STATUS_CODES } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { RawData, WebSocket } from 'ws';
import { STATUS, ServeError } from '../core/errors.ts';
import type { Failure } from '../core/errors.ts';
import { show, wrong } from '../core/fields.ts';
import type { Caller } from './allowance.ts';
import { parseJson } from './body.ts';
import type { Origins } from './browsers.ts';
import { ChunkWriter } from './chunks.ts';
import type { Context } from './context.ts';
import { conduct } from './conduct.ts';
import type { Task } from './conduct.ts';
import { relay } from './relay.ts';
import type { Ending } from './relay.ts';
import { FrameSink, isBehind } from './frames.ts';
import { chosenProtocol } from './keys.ts';
import type { Keys } from './keys.ts';
import { draining, errorBody, knownFailure } from './reply.ts';
import type { Surface } from './surface.ts';

const MAX_ID = 128;

/** Who is let in. */
export interface Gate {
  readonly keys: Keys;
  readonly origins: Origins;
  /** Paths that need no key. */
  readonly open: ReadonlySet<string>;
}

/** Takes upgrades of the surfaces' paths; other paths are refused. */
export class Sockets {
  readonly #context: Context;
  readonly #surfaces: readonly Surface[];
  readonly #gate: Gate;
  readonly #server: WebSocketServer;
  readonly #open = new Set<Connection>();

  constructor(context: Context, surfaces: readonly Surface[], gate: Gate) {
    this.#context = context;
    this.#surfaces = surfaces;
    this.#gate = gate;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: context.settings.body_bytes,
      handleProtocols: chosenProtocol,
    });
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    try {
      const caller = this.#admit(req);
      this.#server.handleUpgrade(req, socket, head, (ws) => this.#accept(ws, caller));
    } catch (error) {
      refuse(socket, knownFailure(error));
    }
  }

  /** @throws ServeError unless this upgrade may be made */
  #admit(req: IncomingMessage): Caller {
    const { work, settings } = this.#context;
    if (!this.#gate.origins.admits(req))
      throw new ServeError('forbidden_origin', `origin ${show(req.headers.origin)} is not allowed`);
    const caller = this.#gate.keys.callerOf(req);
    const path = (req.url ?? '').split('?', 1)[0];
    if (!this.#surfaces.some(({ endpoint }) => endpoint === path))
      throw new ServeError('not_found', `no WebSocket is served at ${show(path)}`);
    if (work.draining) throw draining();
    if (this.#open.size >= settings.sockets)
      throw new ServeError('overloaded', `${settings.sockets} WebSockets are open, which is all`);
    return caller;
  }

  #accept(ws: WebSocket, caller: Caller): void {
    const connection = new Connection(ws, caller, this.#context, this.#surfaces);
    this.#open.add(connection);
    this.#context.metrics.sockets.add(ws);
    ws.on('close', () => {
      this.#open.delete(connection);
      this.#context.metrics.sockets.delete(ws);
    });
  }

  /** Once nothing runs any more. */
  close(): void {
    for (const connection of this.#open) connection.close();
  }
}

/** An upgrade that is not made is an HTTP response. */
function refuse(socket: Duplex, failure: Failure): void {
  const status = STATUS[failure.code];
  const body = JSON.stringify(errorBody(failure, ''));
  socket.on('error', () => undefined);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** One socket and the requests on it. */
class Connection {
  readonly #ws: WebSocket;
  readonly #caller: Caller;
  readonly #context: Context;
  readonly #surfaces: readonly Surface[];
  readonly #tasks = new Map<string, Task>();
  #alive = true;

  constructor(ws: WebSocket, caller: Caller, context: Context, surfaces: readonly Surface[]) {
    this.#ws = ws;
    this.#caller = caller;
    this.#context = context;
    this.#surfaces = surfaces;
    const ping = setInterval(() => this.#ping(), context.settings.socket_ping_ms);
    ws.on('message', (data, binary) => this.#receive(data, binary));
    ws.on('pong', () => (this.#alive = true));
    ws.on('ping', () => isBehind(ws, context.settings) && ws.terminate());
    ws.on('error', (error) => context.log.debug({ err: error.message }, 'websocket'));
    ws.on('close', () => {
      clearInterval(ping);
      for (const task of this.#tasks.values()) task.abort();
    });
  }

  close(): void {
    this.#ws.close(1001, 'the server is stopping');
    setTimeout(() => this.#ws.terminate(), 1000).unref();
  }

  /** A peer that has not answered the last ping is gone. */
  #ping(): void {
    if (!this.#alive) return this.#ws.terminate();
    this.#alive = false;
    this.#ws.ping();
  }

  #receive(data: RawData, binary: boolean): void {
    if (isBehind(this.#ws, this.#context.settings)) return this.#ws.terminate();
    let id: string | null = null;
    try {
      if (binary) throw new ServeError('invalid_json', 'frames must be text, this one is binary');
      const frame = frameOf(data);
      id = typeof frame['id'] === 'string' ? frame['id'].slice(0, MAX_ID) : null;
      this.#dispatch(frame);
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #dispatch({ type, id, ...body }: Record<string, unknown>): void {
    const surface = this.#surfaces.find(({ createFrame }) => createFrame === type);
    const known = [...this.#surfaces.map(({ createFrame }) => createFrame), 'response.cancel'];
    if (!surface && type !== 'response.cancel')
      throw wrong('type', type, `one of ${known.join(', ')}`);
    if (typeof id !== 'string' || id.length === 0 || id.length > MAX_ID)
      throw wrong('id', id, `a string of 1 to ${MAX_ID} characters, chosen by the client`);
    if (surface) void this.#serve(surface, id, body);
    else this.#cancel(id);
  }

  #cancel(id: string): void {
    const task = this.#tasks.get(id);
    if (!task)
      throw new ServeError('not_found', `no request ${show(id)} is running on this socket`, 'id');
    task.abort();
  }

  /** Never rejects: whatever goes wrong becomes an error frame. */
  async #serve(surface: Surface, id: string, body: Record<string, unknown>): Promise<void> {
    try {
      this.#refuseId(id);
      const received = { surface, request: id, caller: this.#caller };
      await conduct(this.#context, received, (task) => this.#run(surface, id, body, task));
    } catch (error) {
      this.#fail(id, error);
    }
  }

  #refuseId(id: string): void {
    const most = this.#context.settings.socket_streams;
    if (this.#tasks.has(id))
      throw new ServeError(
        'invalid_value',
        `id ${show(id)} belongs to a request that is still running, and goes on; choose another`,
        'id',
      );
    if (this.#tasks.size >= most)
      throw new ServeError(
        'rate_limit_exceeded',
        `${most} requests run on this socket, which is all it may have; wait for one to end`,
      );
  }

  async #run(
    surface: Surface,
    id: string,
    { stream, ...body }: Record<string, unknown>,
    task: Task,
  ): Promise<Ending> {
    if (stream === false) throw wrong('stream', stream, 'left out: a WebSocket always streams');
    const { plan, answer } = task.admit(body, { socket: true });
    this.#tasks.set(id, task);
    try {
      const { inference, ambient, settings, metrics } = this.#context;
      const slow = (): void => metrics.count('ws_slow_closed_total');
      const frame = { type: surface.chunkFrame, id, signal: task.signal };
      const sink = new FrameSink(this.#ws, frame, settings, slow);
      const writer = new ChunkWriter(surface, answer, ambient.seconds());
      const ending = await relay(inference.submit(plan, task.signal), writer, task.meter, sink);
      this.#tasks.delete(id);
      this.#end(id, ending);
      return ending;
    } finally {
      this.#tasks.delete(id);
    }
  }

  #end(id: string, ending: Ending): void {
    switch (ending.kind) {
      case 'ok':
        return this.#send({ type: 'done', id });
      case 'cancelled':
        return this.#send({ type: 'done', id, cancelled: true });
      case 'failed':
        return this.#send({ type: 'error', id, ...errorBody(ending.failure, id) });
      default:
        return ending satisfies never;
    }
  }

  #fail(id: string | null, error: unknown): void {
    const failure = knownFailure(error);
    if (failure.code === 'internal_error') this.#context.log.error({ err: error }, 'websocket');
    this.#send({ type: 'error', id, ...errorBody(failure, id ?? '') });
  }

  #send(frame: object): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.send(JSON.stringify(frame));
  }
}

/** A frame is a JSON object; ws has checked that it is UTF-8. */
function frameOf(data: RawData): Record<string, unknown> {
  const text = Buffer.isBuffer(data) ? data.toString('utf8') : '';
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw wrong('', value, 'an object with a type and an id');
}
