/**
 * What a search does, as it does it: figures for `explain`, candidates that were given up, and events for clients that
 * asked for them.
 */

import type { SearchReport, StreamEvent } from '../core/events.ts';
import type { Score } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { Gone } from './scores.ts';

/** Numbers kept per figure; a longer search tells of its beginning. */
const LONGEST = 512;
/** Candidates given up that are remembered. */
const MOST_GONE = 256;

export class Chronicle {
  readonly #choice: number;
  readonly #emit: ((event: StreamEvent) => void) | null;
  readonly #figures = new Map<string, number[]>();
  readonly #alive: number[] = [];
  /** Candidates that were seen and may still win, by id. */
  readonly #open = new Map<number, Branch>();
  readonly #gone: Gone[] = [];
  #nodes = 0;
  #depth = 0;

  /** @param emit null: nobody asked for candidate events */
  constructor(choice: number, emit: ((event: StreamEvent) => void) | null) {
    [this.#choice, this.#emit] = [choice, emit];
  }

  note(name: string, value: number): void {
    const values = this.#figures.get(name) ?? [];
    this.#figures.set(name, values);
    if (values.length < LONGEST) values.push(value);
  }

  scored(branches: readonly Branch[], scores: readonly Score[]): void {
    branches.forEach((branch, i) => {
      this.#see(branch);
      this.#tell('scored', branch, scores[i]!.value);
    });
  }

  /** What a strategy yielded: all else that was seen is given up. */
  kept(frontier: readonly Branch[]): void {
    const left = new Set(frontier);
    for (const branch of this.#open.values()) {
      if (left.has(branch)) continue;
      this.#open.delete(branch.id);
      const { id, tokens, finish } = branch;
      const whole = finish !== null;
      if (this.#gone.length < MOST_GONE) this.#gone.push({ id, tokens: tokens.length, whole });
      this.#tell('pruned', branch, NaN);
    }
    for (const branch of frontier) this.#see(branch);
    if (this.#alive.length < LONGEST) this.#alive.push(frontier.length);
  }

  selected(branch: Branch, score: number | null): void {
    this.#see(branch);
    this.#tell('selected', branch, score ?? NaN);
  }

  get gone(): readonly Gone[] {
    return this.#gone;
  }

  get report(): SearchReport {
    const figures = Object.fromEntries(this.#figures);
    return { nodes: this.#nodes, depth: this.#depth, alive: this.#alive, figures };
  }

  #see(branch: Branch): void {
    const { id, tokens } = branch;
    if (tokens.length === 0) return;
    this.#depth = Math.max(this.#depth, tokens.length);
    if (!this.#open.has(id)) this.#nodes++;
    this.#open.set(id, branch);
  }

  #tell(what: 'scored' | 'pruned' | 'selected', { id, tokens }: Branch, value: number): void {
    const score = Number.isFinite(value) ? value : null;
    this.#emit?.({
      kind: 'candidate',
      choice: this.#choice,
      what,
      index: id,
      score,
      tokens: tokens.length,
    });
  }
}
