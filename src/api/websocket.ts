/** WebSockets at the paths of the surfaces: which upgrades are taken, and the sockets that are open. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { Connection } from './connection.ts';
import type { Context } from './context.ts';
import type { Surface } from './surface.ts';

/** Takes upgrades of the surfaces' paths; other paths are refused. */
export class Sockets {
  readonly #context: Context;
  readonly #surfaces: readonly Surface[];
  readonly #server: WebSocketServer;
  readonly #open = new Set<Connection>();

  constructor(context: Context, surfaces: readonly Surface[]) {
    this.#context = context;
    this.#surfaces = surfaces;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: context.settings.body_bytes,
    });
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = (req.url ?? '').split('?', 1)[0];
    const surface = this.#surfaces.find(({ endpoint }) => endpoint === path);
    if (!surface) return refuse(socket, '404 Not Found');
    if (this.#context.work.draining || this.#open.size >= this.#context.settings.sockets)
      return refuse(socket, '503 Service Unavailable');
    this.#server.handleUpgrade(req, socket, head, (ws) => this.#accept(ws, surface));
  }

  #accept(ws: WebSocket, { dialect }: Surface): void {
    const spoken = this.#surfaces.filter((surface) => surface.dialect === dialect);
    const surfaces = spoken.map((surface) => surface.forSocket?.() ?? surface);
    const connection = new Connection(ws, this.#context, dialect, surfaces);
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

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
