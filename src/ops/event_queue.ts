/** Events of one request on their way from the inference process to its reader. Not pulling them is backpressure. */

import type { StreamEvent } from '../core/events.ts';

/** What a queue asks of the other side. */
interface Upstream {
  pause(): void;
  resume(): void;
  /** The reader has left before the last event. */
  leave(): void;
}

const PAUSE_ABOVE = 64;
const RESUME_AT = 8;

export const isLast = (event: StreamEvent): boolean =>
  event.kind === 'end' || event.kind === 'failed';

/** Read once, by one reader. */
export class EventQueue implements AsyncIterableIterator<StreamEvent> {
  readonly #upstream: Upstream;
  #events: StreamEvent[] = [];
  /** Next event to hand out. */
  #next = 0;
  #waiting: ((result: IteratorResult<StreamEvent>) => void) | null = null;
  #paused = false;
  #done = false;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  push(events: readonly StreamEvent[]): void {
    if (this.#done) return;
    for (const event of events) this.#events.push(event);
    if (this.#waiting && this.#unread > 0) {
      const wake = this.#waiting;
      this.#waiting = null;
      wake(this.#take());
    }
    if (this.#unread > PAUSE_ABOVE && !this.#paused) {
      this.#paused = true;
      this.#upstream.pause();
    }
  }

  get #unread(): number {
    return this.#events.length - this.#next;
  }

  #take(): IteratorResult<StreamEvent> {
    const value = this.#events[this.#next];
    if (value === undefined) return { done: true, value };
    this.#next++;
    if (this.#next === this.#events.length) {
      this.#events = [];
      this.#next = 0;
    }
    if (isLast(value)) this.#done = true;
    else if (this.#paused && this.#unread <= RESUME_AT) {
      this.#paused = false;
      this.#upstream.resume();
    }
    return { done: false, value };
  }

  next(): Promise<IteratorResult<StreamEvent>> {
    if (this.#unread > 0) return Promise.resolve(this.#take());
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => (this.#waiting = resolve));
  }

  return(): Promise<IteratorResult<StreamEvent>> {
    if (!this.#done) {
      this.#done = true;
      this.#upstream.leave();
    }
    this.#events = [];
    this.#next = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
