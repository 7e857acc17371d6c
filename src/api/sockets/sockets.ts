/** WebSockets at the paths of the surfaces: which upgrades are taken, and the sockets that are open. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { ServeError } from '../../core/errors.ts';
import { show } from '../../core/fields.ts';
import type { Access } from '../callers/access.ts';
import type { Caller } from '../callers/allowance.ts';
import { chosenProtocol } from '../callers/keys.ts';
import type { Context } from '../context.ts';
import { refuseRaw } from '../malformed.ts';
import { draining, knownFailure } from '../reply.ts';
import type { Surface } from '../surface.ts';
import { Connection } from './connection.ts';

/** Takes upgrades of the surfaces' paths; other paths are refused. */
export class Sockets {
  readonly #context: Context;
  readonly #surfaces: readonly Surface[];
  readonly #access: Access;
  readonly #server: WebSocketServer;
  readonly #open = new Set<Connection>();

  constructor(context: Context, surfaces: readonly Surface[], access: Access) {
    this.#context = context;
    this.#surfaces = surfaces;
    this.#access = access;
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
      const [caller, surface] = this.#admit(req);
      this.#server.handleUpgrade(req, socket, head, (ws) => this.#accept(ws, req, caller, surface));
    } catch (error) {
      refuseRaw(socket, knownFailure(error)); // an upgrade that is not made is an HTTP response
    }
  }

  /** @throws ServeError unless this upgrade may be made */
  #admit(req: IncomingMessage): [Caller, Surface] {
    const { work, settings } = this.#context;
    if (!this.#access.origins.admits(req))
      throw new ServeError('forbidden_origin', `origin ${show(req.headers.origin)} is not allowed`);
    const caller = this.#access.keys.callerOf(req);
    const path = (req.url ?? '').split('?', 1)[0];
    const surface = this.#surfaces.find(({ endpoint }) => endpoint === path);
    if (!surface) throw new ServeError('not_found', `no WebSocket is served at ${show(path)}`);
    if (work.draining) throw draining();
    if (this.#open.size >= settings.sockets)
      throw new ServeError('overloaded', `${settings.sockets} WebSockets are open, which is all`);
    return [caller, surface];
  }

  #accept(ws: WebSocket, { headers }: IncomingMessage, caller: Caller, { dialect }: Surface): void {
    const spoken = this.#surfaces.filter((surface) => surface.dialect === dialect);
    const surfaces = spoken.map((surface) => surface.forSocket?.() ?? surface);
    const connection = new Connection(ws, this.#context, { caller, dialect, surfaces, headers });
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
