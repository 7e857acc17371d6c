/** Chunks of one request as frames on a shared socket. When the socket's buffer is full, this request's generation waits. */

import type { WebSocket } from 'ws';
import type { StreamEvent } from '../core/events.ts';
import type { ServerSettings } from '../ops/config.ts';
import type { Sink } from './relay.ts';

export interface Frame {
  readonly type: string;
  /** The client's own. */
  readonly id: string;
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
  readonly #id: string;
  readonly #head: string;
  /** Settles when the last frame has left the buffer, or never will. */
  #flushed: Promise<void> | null = null;

  constructor(ws: WebSocket, frame: Frame, settings: ServerSettings, onSlow: () => void) {
    this.#ws = ws;
    this.#signal = frame.signal;
    this.#settings = settings;
    this.#onSlow = onSlow;
    this.#id = JSON.stringify(frame.id);
    this.#head = `{"type":${JSON.stringify(frame.type)},"id":${this.#id},"data":`;
  }

  write(chunks: readonly string[]): void {
    for (const chunk of chunks) this.#send(`${this.#head}${chunk}}`);
  }

  draft({ choice, branch, text }: Extract<StreamEvent, { kind: 'draft' }>): void {
    const data = JSON.stringify({ choice, branch, text });
    this.#send(`{"type":"alignment.draft","id":${this.#id},"data":${data}}`);
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
