/** What the routes are given, and the count of what they are working on: a server that stops lets it finish. */

import type { Inference } from '../core/inference.ts';
import type { Ambient } from '../ops/ambient.ts';
import type { ServerSettings } from '../ops/config.ts';
import type { Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { Tracing } from '../ops/tracing.ts';
import type { Catalog } from '../plan/catalog.ts';
import type { Planner } from '../plan/parse.ts';
import type { Plan } from '../plan/plan.ts';

export interface Context {
  readonly catalog: Catalog;
  readonly planner: Planner;
  readonly inference: Inference<Plan>;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly log: Logger;
  readonly ambient: Ambient;
  readonly settings: ServerSettings;
  readonly version: string;
  readonly work: Work;
}

/** Why a request was aborted, where its owner asked for that: the reason in its signal. */
export const CANCELLED = 'cancelled';

/** A request that its owner may cancel by its id. */
interface Named {
  readonly controller: AbortController;
  readonly owner: string;
  readonly over: Promise<void>;
}

/** An abort takes effect by the next iteration. */
const ABORT_MS = 1000;

/** Requests in flight, over HTTP and WebSocket. */
export class Work {
  readonly #running = new Set<AbortController>();
  readonly #named = new Map<string, Named>();
  #onIdle: (() => void) | null = null;
  #draining = false;

  /** Told to stop: what runs may finish, nothing new is taken. */
  get draining(): boolean {
    return this.#draining;
  }

  get running(): number {
    return this.#running.size;
  }

  begin(): AbortController {
    const controller = new AbortController();
    this.#running.add(controller);
    return controller;
  }

  end(controller: AbortController): void {
    this.#running.delete(controller);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /** Makes a request known by its id, until the function given back is called. */
  name(controller: AbortController, id: string, owner: string): () => void {
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    this.#named.set(id, { controller, owner, over });
    return () => {
      this.#named.delete(id);
      end();
    };
  }

  /** Aborts a request; resolves once it is over. Null: the owner has none of that id running. */
  cancel(id: string, owner: string): Promise<void> | null {
    const named = this.#named.get(id);
    if (!named || named.owner !== owner) return null;
    named.controller.abort(CANCELLED);
    return named.over;
  }

  /** Resolves when nothing runs any more. What still does after `ms` is aborted, and given little time to notice. */
  async drain(ms: number): Promise<void> {
    this.#draining = true;
    if (this.#running.size === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const timer = setTimeout(() => {
      for (const each of this.#running) each.abort();
      setTimeout(() => this.#onIdle?.(), ABORT_MS).unref();
    }, ms);
    await idle;
    clearTimeout(timer);
  }
}
