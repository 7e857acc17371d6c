/** Engines of several vocabularies, seen as one: a tree is opened by the engine that has its policy. */

import type { Engine, Opening, Session } from '../core/engine.ts';
import type { DecodeEngine } from './engine.ts';

export class Engines implements Engine, Disposable {
  readonly #byModel: ReadonlyMap<string, DecodeEngine>;
  readonly #all: readonly DecodeEngine[];

  /** @param byModel every policy and guide, with the engine that decodes it */
  constructor(byModel: ReadonlyMap<string, DecodeEngine>) {
    this.#byModel = byModel;
    this.#all = [...new Set(byModel.values())];
  }

  open(opening: Opening, signal: AbortSignal, accepted?: () => void): Promise<Session> {
    return this.#byModel.get(opening.lanes[0]!.model)!.open(opening, signal, accepted);
  }

  /** Trees of all engines; the share of KV rows promised in the fullest pool. */
  get load(): DecodeEngine['load'] {
    const loads = this.#all.map(({ load }) => load);
    return { ...sum(loads), kvUsage: Math.max(...loads.map(({ kvUsage }) => kvUsage)) };
  }

  get cache(): DecodeEngine['cache'] {
    return sum(this.#all.map(({ cache: { queries, hits, bytes } }) => ({ queries, hits, bytes })));
  }

  get stats(): DecodeEngine['stats'] {
    const all = this.#all.map(({ stats }) => stats);
    const forwards = all.flatMap((stats) => Object.entries(stats.forwards)); // no model is in two engines
    return { ...sum(all), forwards: Object.fromEntries(forwards) };
  }

  /** Throws unless every row of every engine is accounted for. */
  audit(): void {
    for (const engine of this.#all) engine.audit();
  }

  [Symbol.dispose](): void {
    for (const engine of this.#all) engine[Symbol.dispose]();
  }
}

/** Numbers, field by field. */
function sum<T extends object>(parts: readonly T[]): T {
  const total: Record<string, number> = {};
  for (const part of parts)
    for (const [field, value] of Object.entries(part))
      if (typeof value === 'number') total[field] = (total[field] ?? 0) + value;
  return total as T;
}
