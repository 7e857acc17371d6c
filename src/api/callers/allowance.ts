/** What one caller may use: tokens a minute, requests at a time. Tokens are charged up front and given back where they were not generated. */

import { ServeError } from '../../core/errors.ts';
import type { Grant } from '../../plan/grant.ts';

interface Terms {
  /** Its key's; null: this server asks for none. */
  readonly name: string | null;
  readonly grant: Grant;
  /** Null: without limit. */
  readonly tokensPerMinute: number | null;
  readonly concurrency: number;
}

const MINUTE_MS = 60_000;

export class Caller {
  readonly name: string | null;
  readonly grant: Grant;
  readonly #concurrency: number;
  readonly #bucket: Bucket | null;
  #running = 0;

  /** @param now milliseconds, monotonic */
  constructor({ name, grant, tokensPerMinute, concurrency }: Terms, now: () => number) {
    [this.name, this.grant, this.#concurrency] = [name, grant, concurrency];
    this.#bucket = tokensPerMinute === null ? null : new Bucket(tokensPerMinute, now);
  }

  /** @throws ServeError if too many of its requests run */
  begin(): Lease {
    if (this.#running >= this.#concurrency)
      throw new ServeError(
        'rate_limit_exceeded',
        `${this.#running} requests of this API key are running, which is all it may have; wait for one to end`,
      );
    this.#running++;
    return new Lease(this.#bucket, () => this.#running--);
  }

  /** OpenAI's headers, where tokens are limited. */
  get headers(): Readonly<Record<string, string>> {
    return this.#bucket?.headers ?? {};
  }
}

/** One request's share of its caller's allowance. */
export class Lease {
  readonly #bucket: Bucket | null;
  readonly #onEnd: () => void;
  #charged = 0;

  constructor(bucket: Bucket | null, onEnd: () => void) {
    [this.#bucket, this.#onEnd] = [bucket, onEnd];
  }

  /**
   * @param tokens the most that this request may use
   * @throws ServeError that says when there will be enough
   */
  charge(tokens: number): void {
    this.#bucket?.take(tokens);
    this.#charged = tokens;
  }

  /** @param tokens used in fact, which may be more than was charged */
  settle(tokens: number): void {
    this.#bucket?.give(this.#charged - tokens);
    this.#charged = tokens;
  }

  /** Another may run in its place. */
  end(): void {
    this.#onEnd();
  }
}

/** Fills at a steady rate up to one minute's worth; may be in debt. */
class Bucket {
  readonly #perMinute: number;
  readonly #now: () => number;
  #tokens: number;
  #at: number;

  constructor(perMinute: number, now: () => number) {
    [this.#perMinute, this.#now] = [perMinute, now];
    [this.#tokens, this.#at] = [perMinute, now()];
  }

  take(tokens: number): void {
    if (tokens > this.#perMinute)
      throw new ServeError(
        'invalid_value',
        `this request may use ${tokens} tokens over all choices, branches and guides, but this API key has ${this.#perMinute} a minute; ask for fewer`,
        'max_tokens',
      );
    const missing = tokens - this.#level();
    if (missing <= 0) return void (this.#tokens -= tokens);
    const seconds = Math.ceil(this.#msFor(missing) / 1000);
    throw new ServeError(
      'rate_limit_exceeded',
      `this request may use ${tokens} tokens and this API key has ${Math.floor(this.#tokens)} left of ${this.#perMinute} a minute; try again in ${seconds} s`,
      null,
      seconds,
    );
  }

  give(tokens: number): void {
    this.#tokens = Math.min(this.#perMinute, this.#level() + tokens);
  }

  get headers(): Readonly<Record<string, string>> {
    const level = this.#level();
    return {
      'x-ratelimit-limit-tokens': `${this.#perMinute}`,
      'x-ratelimit-remaining-tokens': `${Math.max(0, Math.floor(level))}`,
      'x-ratelimit-reset-tokens': `${Math.ceil(this.#msFor(this.#perMinute - level))}ms`,
    };
  }

  #level(): number {
    const now = this.#now();
    const filled = ((now - this.#at) / MINUTE_MS) * this.#perMinute;
    [this.#tokens, this.#at] = [Math.min(this.#perMinute, this.#tokens + filled), now];
    return this.#tokens;
  }

  #msFor(tokens: number): number {
    return (tokens / this.#perMinute) * MINUTE_MS;
  }
}
