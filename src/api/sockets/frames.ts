/** Chunks of one request as frames on a shared socket. When the socket's buffer is full, this request's generation waits. */

import type { WebSocket } from 'ws';
import type { StreamEvent } from '../../core/events.ts';
import type { ServerSettings } from '../../ops/config.ts';
import type { Sink } from '../relay.ts';
import type { Framer } from './dialect.ts';

/** A request's share of a socket. */
interface Share {
  readonly framer: Framer;
  readonly signal: AbortSignal;
}

/** Answers to a client that sends but does not read pile up too: this far behind, it is closed. */
export const isBehind = (ws: WebSocket, settings: ServerSettings): boolean =>
  ws.bufferedAmount > 4 * settings.socket_buffer_bytes;

export class FrameSink implements Sink {
  readonly #ws: WebSocket;
  readonly #signal: AbortSignal;
  readonly #settings: ServerSettings;
  readonly #onSlow: () => void;
  readonly #framer: Framer;
  /** Settles when the last frame has left the buffer, or never will. */
  #flushed: Promise<void> | null = null;

  constructor(ws: WebSocket, share: Share, settings: ServerSettings, onSlow: () => void) {
    this.#ws = ws;
    this.#signal = share.signal;
    this.#settings = settings;
    this.#onSlow = onSlow;
    this.#framer = share.framer;
  }

  write(chunks: readonly string[]): void {
    for (const chunk of chunks) this.#send(this.#framer.chunk(chunk));
  }

  aside(event: Extract<StreamEvent, { kind: 'draft' | 'candidate' }>): void {
    if (event.kind === 'draft') {
      const { choice, branch, text } = event;
      return this.#aside('draft', { choice, branch, text });
    }
    const { what, choice, index, score, tokens } = event;
    this.#aside(`candidate.${what}`, { choice, index, score, tokens });
  }

  #aside(type: string, data: object): void {
    this.#send(this.#framer.aside(`alignment.${type}`, JSON.stringify(data)));
  }

  #send(frame: string): void {
    const ws = this.#ws;
    if (ws.readyState !== ws.OPEN || this.#signal.aborted) return;
    if (ws.bufferedAmount + frame.length <= this.#settings.socket_buffer_bytes)
      return ws.send(frame);
    this.#flushed = new Promise((resolve) => ws.send(frame, () => resolve()));
  }

  get full(): boolean {
    return this.#flushed !== null;
  }

  async drained(): Promise<void> {
    const signal = this.#signal;
    let timer: NodeJS.Timeout | undefined;
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
      timer = setTimeout(() => {
        this.#onSlow();
        this.#ws.terminate();
        resolve();
      }, this.#settings.slow_reader_ms);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) resolve();
    });
    await Promise.race([this.#flushed, left]);
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
    this.#flushed = null;
  }
}
