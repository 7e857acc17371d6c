/** Who may open a tree now: first come first served, and never more rows promised than there are. */

import { ServeError } from '../core/errors.ts';
import type { Peak } from '../core/strategy.ts';
import type { SlotPool } from './slots.ts';

interface Waiting {
  readonly pools: readonly SlotPool[];
  readonly peak: Peak;
  readonly start: (width: number) => void;
}

export class Admission {
  readonly #queue: Waiting[] = [];
  readonly #limit: number;

  /** @param limit trees that may wait; one more is refused */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  /**
   * Waits until every pool has room for `peak.least` branches; one row per branch for each time it is listed.
   * Resolves to how many branches are promised, `peak.most` at most.
   * @param accepted called once it waits, or need not
   * @throws ServeError queue_full; the signal's reason if it aborts first
   */
  async enter(
    pools: readonly SlotPool[],
    peak: Peak,
    signal: AbortSignal,
    accepted: () => void = () => undefined,
  ): Promise<number> {
    signal.throwIfAborted();
    const most = Math.min(...pools.map((pool) => Math.floor(pool.rows.rows / demand(pools, pool))));
    if (peak.least > most)
      throw new ServeError(
        'invalid_value',
        `this request needs ${peak.least} branches at once; its guides and length leave room for ${most}`,
        'alignment.strategy',
      );
    return new Promise((resolve, reject) => {
      const leave = (reason: Error): void => {
        signal.removeEventListener('abort', abort);
        this.#queue.splice(this.#queue.indexOf(entry), 1);
        reject(reason);
        this.#admit();
      };
      const abort = (): void => leave(signal.reason as Error);
      const entry: Waiting = {
        pools,
        peak,
        start: (width) => {
          signal.removeEventListener('abort', abort);
          resolve(width);
        },
      };
      signal.addEventListener('abort', abort);
      this.#queue.push(entry);
      this.#admit();
      if (this.#queue.length > this.#limit)
        leave(new ServeError('queue_full', `${this.#limit} requests are waiting; try again later`));
      else accepted();
    });
  }

  leave(pools: readonly SlotPool[], width: number): void {
    for (const pool of pools) pool.promise(-width);
    this.#admit();
  }

  /** Starts whoever is first as long as there is room: a large request is not overtaken for ever. */
  #admit(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const { pools, peak, start } = next;
      const room = Math.min(...pools.map((pool) => Math.floor(pool.free / demand(pools, pool))));
      if (room < peak.least) return;
      this.#queue.shift();
      const width = Math.min(room, peak.most);
      for (const pool of pools) pool.promise(width);
      start(width);
    }
  }
}

/** Rows of `pool` that one branch takes: a model may read it under two prompts. */
const demand = (pools: readonly SlotPool[], pool: SlotPool): number =>
  pools.filter((p) => p === pool).length;
