/** Chunks as server-sent events, in the surface's words. */

import type { ServerResponse } from 'node:http';
import type { Sink } from './relay.ts';
import type { SseWords } from './surface.ts';

export class SseSink implements Sink {
  readonly #res: ServerResponse;
  readonly #words: SseWords;
  readonly #slowMs: number;
  readonly #onSlow: () => void;
  #full = false;

  constructor(res: ServerResponse, words: SseWords, slowMs: number, onSlow: () => void) {
    this.#res = res;
    this.#words = words;
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
    let text = '';
    for (const chunk of chunks) text += this.#words.message(chunk);
    this.#full = !this.#res.write(text);
  }

  aside(): void {}

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

  end(): void {
    this.#res.end(this.#words.end);
  }
}
