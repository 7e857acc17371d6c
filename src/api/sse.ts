/** Server-sent events as OpenAI sends them: `data: {chunk}`, a failure as `data: {"error": ...}`, `data: [DONE]` last. */

import type { ServerResponse } from 'node:http';
import type { ErrorBody } from './reply.ts';
import type { Sink } from './relay.ts';

export class SseSink implements Sink {
  readonly #res: ServerResponse;
  readonly #slowMs: number;
  readonly #onSlow: () => void;
  #full = false;

  constructor(res: ServerResponse, slowMs: number, onSlow: () => void) {
    this.#res = res;
    this.#slowMs = slowMs;
    this.#onSlow = onSlow;
  }

  /** Headers wait for the first chunk: until then a failure still has a status of its own. */
  get begun(): boolean {
    return this.#res.headersSent;
  }

  write(chunks: readonly string[]): void {
    if (chunks.length === 0 || this.#res.destroyed) return;
    if (!this.begun)
      this.#res.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
        'x-accel-buffering': 'no',
      });
    const [only] = chunks;
    const text = chunks.length === 1 ? `data: ${only}\n\n` : lines(chunks);
    this.#full = !this.#res.write(text);
  }

  draft(): void {}

  get full(): boolean {
    return this.#full;
  }

  drained(): Promise<void> {
    const res = this.#res;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#onSlow();
        res.destroy();
      }, this.#slowMs);
      const done = (): void => {
        clearTimeout(timer);
        res.off('drain', done).off('close', done);
        this.#full = false;
        resolve();
      };
      if (res.destroyed) done();
      else res.on('drain', done).on('close', done);
    });
  }

  end(error?: ErrorBody): void {
    this.write(error ? [JSON.stringify(error), '[DONE]'] : ['[DONE]']);
    this.#res.end();
  }
}

const lines = (chunks: readonly string[]): string =>
  chunks.map((chunk) => `data: ${chunk}\n\n`).join('');
