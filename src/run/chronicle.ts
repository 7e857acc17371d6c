/**
 * What a search does, as it does it: figures for `explain`, candidates that were given up, and events for clients that
 * asked for them.
 */

import type { SearchReport, StreamEvent } from '../core/events.ts';
import type { Score } from '../core/reward.ts';
import type { Branch, ToldNode } from '../core/tree.ts';
import type { Gone } from './scores.ts';

/** Numbers kept per figure; a longer search tells of its beginning. */
const LONGEST = 512;
/** Candidates given up that are remembered. */
const MOST_GONE = 256;

/** Nodes of a tree that are told. */
const MOST_TOLD = 1024;

/** Who wants to know. */
interface Audience {
  /** Null: nobody asked for candidate events. */
  readonly emit: ((event: StreamEvent) => void) | null;
  /** Whether the tree is told too. */
  readonly explain: boolean;
}

export class Chronicle {
  readonly #choice: number;
  readonly #emit: ((event: StreamEvent) => void) | null;
  readonly #figures = new Map<string, number[]>();
  readonly #alive: number[] = [];
  /** Candidates that were seen and may still win, by id. */
  readonly #open = new Map<number, Branch>();
  readonly #gone: Gone[] = [];
  readonly #explain: boolean;
  #tree: (() => readonly ToldNode[]) | null = null;
  #nodes = 0;
  #depth = 0;

  constructor(choice: number, { emit, explain }: Audience) {
    [this.#choice, this.#emit, this.#explain] = [choice, emit, explain];
  }

  note(name: string, value: number): void {
    const values = this.#figures.get(name) ?? [];
    this.#figures.set(name, values);
    if (values.length < LONGEST) values.push(value);
  }

  tell(nodes: () => readonly ToldNode[]): void {
    this.#tree = nodes;
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
    const told = this.#explain && this.#tree ? { tree: this.#tree().slice(0, MOST_TOLD) } : {};
    return { nodes: this.#nodes, depth: this.#depth, alive: this.#alive, figures, ...told };
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
