/** One WebSocket and the requests on it: each runs under a name of the client's, with backpressure of its own. */

import type { IncomingHttpHeaders } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import { ServeError } from '../../core/errors.ts';
import { show, wrong } from '../../core/fields.ts';
import { admit } from '../admit.ts';
import { parseJson } from '../body.ts';
import type { Caller } from '../callers/allowance.ts';
import { conduct } from '../conduct.ts';
import type { Task } from '../conduct.ts';
import type { Context } from '../context.ts';
import { relay } from '../relay.ts';
import type { Ending } from '../relay.ts';
import { knownFailure } from '../reply.ts';
import type { Surface } from '../surface.ts';
import type { Dialect } from './dialect.ts';
import { FrameSink, isBehind } from './frames.ts';

/** The requests under one name, one after the other. */
interface Line {
  /** Null until the one at hand is valid. */
  task: Task | null;
  readonly waiting: (() => Promise<void>)[];
}

const CANCEL = 'response.cancel';

/** Whose connection it is, and what is spoken on it. */
interface Spoken {
  readonly caller: Caller;
  readonly dialect: Dialect;
  readonly surfaces: readonly Surface[];
  /** Of its upgrade. */
  readonly headers: IncomingHttpHeaders;
}

export class Connection {
  readonly #ws: WebSocket;
  readonly #caller: Caller;
  readonly #context: Context;
  readonly #dialect: Dialect;
  readonly #surfaces: readonly Surface[];
  readonly #headers: IncomingHttpHeaders;
  /** By name; a line with nothing to do is not kept. */
  readonly #lines = new Map<string, Line>();
  /** Every name a line ever had. */
  readonly #named = new Set<string>();
  /** Requests that run or wait. */
  #requests = 0;
  #alive = true;
  #expired = false;

  constructor(ws: WebSocket, context: Context, { caller, dialect, surfaces, headers }: Spoken) {
    this.#ws = ws;
    this.#caller = caller;
    this.#context = context;
    this.#dialect = dialect;
    this.#surfaces = surfaces;
    this.#headers = headers;
    const { settings } = context;
    const ping = setInterval(() => this.#ping(), settings.socket_ping_ms);
    const end = dialect.lines ? setTimeout(() => this.#expire(), settings.socket_ms) : undefined;
    ws.on('message', (data, binary) => this.#receive(data, binary));
    ws.on('pong', () => (this.#alive = true));
    ws.on('ping', () => isBehind(ws, settings) && ws.terminate());
    ws.on('error', (error) => context.log.debug({ err: error.message }, 'websocket'));
    ws.on('close', () => {
      clearInterval(ping);
      clearTimeout(end);
      for (const { task } of this.#lines.values()) task?.abort();
    });
  }

  close(reason = 'the server is stopping'): void {
    this.#ws.close(1001, reason);
    setTimeout(() => this.#ws.terminate(), 1000).unref();
  }

  /** A peer that has not answered the last ping is gone. */
  #ping(): void {
    if (!this.#alive) return this.#ws.terminate();
    this.#alive = false;
    this.#ws.ping();
  }

  /** What runs goes on to its end; nothing new is taken. */
  #expire(): void {
    this.#expired = true;
    if (this.#lines.size > 0) return;
    this.#fail(null, this.#outlived());
    this.close('this connection has lasted long enough');
  }

  #outlived(): ServeError {
    const minutes = Math.round(this.#context.settings.socket_ms / 60_000);
    return new ServeError(
      'websocket_connection_limit_reached',
      `this connection has lasted ${minutes} minutes, which is all it may; open a new one`,
    );
  }

  #receive(data: RawData, binary: boolean): void {
    if (isBehind(this.#ws, this.#context.settings)) return this.#ws.terminate();
    let name: string | null = null;
    try {
      if (binary) throw new ServeError('invalid_json', 'frames must be text, this one is binary');
      const frame = frameOf(data);
      const given = frame[this.#dialect.field];
      if (typeof given === 'string') name = given;
      this.#dispatch(frame);
    } catch (error) {
      this.#fail(name, error);
    }
  }

  #dispatch(frame: Record<string, unknown>): void {
    const { type, ...rest } = frame;
    if (type === CANCEL) return this.#cancel(rest);
    const surface = this.#surfaces.find(({ createFrame }) => createFrame === type);
    const known = [...this.#surfaces.map(({ createFrame }) => createFrame), CANCEL];
    if (!surface) throw wrong('type', type, `one of ${known.join(', ')}`);
    const { [this.#dialect.field]: given, ...body } = rest;
    const name = this.#dialect.name(given);
    this.#enter(name, () => this.#serve(surface, name, body));
  }

  /** By the client's name, or by the answer's id, which may be on another connection. */
  #cancel(frame: Record<string, unknown>): void {
    const { response_id: response, [this.#dialect.field]: given } = frame;
    if (typeof response === 'string') {
      if (this.#context.work.cancel(response, this.#caller.grant.salt) !== null) return;
      throw new ServeError('not_found', `no response ${show(response)} is running`, 'response_id');
    }
    const name = this.#dialect.name(given);
    const task = this.#lines.get(name)?.task;
    if (task) return task.abort();
    const { field } = this.#dialect;
    throw new ServeError('not_found', `no request ${show(name)} is running on this socket`, field);
  }

  /** Lets a request run at once, or in its turn. */
  #enter(name: string, serve: () => Promise<void>): void {
    const line = this.#lines.get(name);
    this.#refuseEntry(name, line !== undefined);
    this.#requests++;
    if (line) return void line.waiting.push(serve);
    const opened: Line = { task: null, waiting: [serve] };
    this.#lines.set(name, opened);
    void this.#run(name, opened);
  }

  #refuseEntry(name: string, busy: boolean): void {
    const { lines } = this.#dialect;
    if (busy && !lines)
      throw new ServeError(
        'invalid_value',
        `id ${show(name)} belongs to a request that is still running, and goes on; choose another`,
        'id',
      );
    if (this.#expired) throw this.#outlived();
    const most = this.#context.settings.socket_streams;
    if (this.#requests >= most)
      throw new ServeError(
        'rate_limit_exceeded',
        `${most} requests run on this socket, which is all it may have; wait for one to end`,
      );
    if (lines && name !== '') this.#name(name, 2 * most);
  }

  #name(name: string, most: number): void {
    this.#named.add(name);
    if (this.#named.size <= most) return;
    this.#named.delete(name);
    throw new ServeError(
      'websocket_stream_limit_reached',
      `this connection has had ${most} streams of different ids, which is all it may; use one of them again, or a new connection`,
      'stream_id',
    );
  }

  /** Never rejects: whatever goes wrong with a request becomes a frame. */
  async #run(name: string, line: Line): Promise<void> {
    for (let next = line.waiting.shift(); next; next = line.waiting.shift()) {
      if (this.#ws.readyState === this.#ws.OPEN) await next();
      line.task = null;
      this.#requests--;
    }
    this.#lines.delete(name);
    if (this.#expired) this.#expire();
  }

  async #serve(surface: Surface, name: string, body: Record<string, unknown>): Promise<void> {
    try {
      const [caller, headers] = [this.#caller, this.#headers];
      const received = { endpoint: surface.endpoint, request: name, caller, headers };
      await conduct(this.#context, received, (task) => this.#answer(surface, name, body, task));
    } catch (error) {
      this.#fail(name, error);
    }
  }

  async #answer(
    surface: Surface,
    name: string,
    { stream, ...body }: Record<string, unknown>,
    task: Task,
  ): Promise<Ending> {
    if (stream === false) throw wrong('stream', stream, 'left out: a WebSocket always streams');
    const asked = { surface, request: name, caller: this.#caller, body, socket: true };
    const worded = admit(this.#context, task, asked);
    const line = this.#lines.get(name);
    if (line) line.task = task;
    const { inference, ambient, settings, metrics } = this.#context;
    const slow = (): void => metrics.count('ws_slow_closed_total');
    const framer = this.#dialect.framer(name, surface.chunkFrame);
    const sink = new FrameSink(this.#ws, { framer, signal: task.signal }, settings, slow);
    const writer = worded.writer(ambient.seconds());
    const events = inference.submit(worded.plan, task.signal);
    task.meter.handed();
    const ending = await relay(events, writer, task.meter, sink);
    for (const frame of this.#dialect.closing(name, ending, writer)) this.#send(frame);
    return ending;
  }

  #fail(name: string | null, error: unknown): void {
    const failure = knownFailure(error);
    if (failure.code === 'internal_error') this.#context.log.error({ err: error }, 'websocket');
    this.#send(this.#dialect.refusal(name, failure));
  }

  #send(frame: string): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.send(frame);
  }
}

/** A frame is a JSON object; ws has checked that it is UTF-8. */
function frameOf(data: RawData): Record<string, unknown> {
  const text = Buffer.isBuffer(data) ? data.toString('utf8') : '';
  const value = parseJson(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw wrong('', value, 'an object with a type and an id');
}
