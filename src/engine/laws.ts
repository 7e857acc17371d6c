/**
 * Rows' logits to laws: one run of a tail for rows of one shape, and another for those whose weights depend on what the
 * row itself says. Hot path: no allocation per vocabulary entry.
 */

import type { LaneWeights } from '../core/guide.ts';
import type { Mixed, Reals, RowTerms, Tail, Tails } from '../core/model.ts';
import type { Sampling } from '../core/tree.ts';
import { stands, type Job } from './job.ts';

const BISECTIONS = 16;

/** What a row is mixed by. */
export interface LawRow extends Pick<Job, 'law' | 'tree'> {
  readonly sampling: Pick<Sampling, 'temperature'>;
}

/** How rows of one shape are mixed, and who is told. */
interface Mixing<R extends LawRow> {
  readonly tempered: boolean;
  /** Tokens that the tail lists. */
  readonly top: number;
  /** Whether a row is left as it is mixed first, whatever its weights. */
  readonly held: (row: R, entropy: number) => boolean;
  /** Told of each row once: it is row `i` of `mixed` and of each lane, valid during the call. */
  readonly settle: (row: R, mixed: Mixed, i: number, lanes: readonly Reals[]) => void;
}

interface LawsOptions {
  readonly tails: Tails;
  readonly laneWeights: LaneWeights;
  /** Most rows of one run. */
  readonly rows: number;
}

/** A row to be mixed again, and where it lies in its run. */
interface Unsettled<R> {
  readonly row: R;
  readonly at: number;
  readonly entropy: number;
}

export class Laws {
  readonly #options: LawsOptions;
  /** Of the rows at hand. */
  readonly #terms: Record<keyof RowTerms, Float32Array>;
  /** By lane and width: rows gathered for a tail when they do not lie together; views by row count, [0] is all. */
  readonly #scratch: Map<number, Float32Array[]>[] = [];

  constructor(options: LawsOptions) {
    this.#options = options;
    this.#terms = {
      weights: new Float32Array(options.rows * 16),
      inverse: new Float32Array(options.rows),
      cuts: new Float32Array(options.rows),
    };
  }

  /** Most rows of one run. */
  get rows(): number {
    return this.#options.rows;
  }

  /** The same memory for the same arguments: tails know their inputs by identity. */
  view(k: number, rows: number, width: number): Float32Array {
    const widths = (this.#scratch[k] ??= new Map());
    let views = widths.get(width);
    if (views === undefined)
      widths.set(width, (views = [new Float32Array(this.#options.rows * width)]));
    return (views[rows] ??= views[0]!.subarray(0, rows * width));
  }

  /** @param rows of one shape @param sources logits of each of their law's lanes, row after row */
  mix<R extends LawRow>(
    rows: readonly R[],
    sources: readonly Reals[],
    { tempered, top, held, settle }: Mixing<R>,
  ): void {
    const { lanes, widths, cut } = rows[0]!.law;
    const tail = this.#options.tails({ widths, tempered, cutting: cut !== null, top });
    rows.forEach((row, i) => {
      this.#terms.weights.set(row.law.weights, i * lanes.length);
      this.#placeTerms(row, i);
    });
    const mixed = tail.mix(rows.length, sources, this.#terms);
    const unsettled: Unsettled<R>[] = [];
    rows.forEach((row, at) => {
      const [kl, entropy] = [mixed.kl[at]!, mixed.entropy[at]!];
      if (row.law.conditional && !held(row, entropy) && !stands(row, kl, entropy))
        unsettled.push({ row, at, entropy });
      else settle(row, mixed, at, sources);
    });
    if (unsettled.length === 0) return;
    const views = sources.map((source, k) => this.#gathered(k, widths[k]!, source, unsettled));
    const again = this.#remix(unsettled, tail, views);
    unsettled.forEach(({ row }, i) => settle(row, again, i, views));
  }

  /** Mixes rows again with the weights that their entropy masks and KL bounds leave: a scale per row, bisected together. */
  #remix(rows: readonly Unsettled<LawRow>[], tail: Tail, views: readonly Reals[]): Mixed {
    const { laneWeights } = this.#options;
    const { weights } = this.#terms;
    const mix = (scales: Float64Array): Mixed => {
      rows.forEach(({ row: { law, tree }, entropy }, i) => {
        const all = laneWeights(law.guidance, tree.opening.lanes.length, scales[i]!, entropy);
        law.lanes.forEach((lane, k) => (weights[i * views.length + k] = all[lane]!));
      });
      return tail.mix(rows.length, views, this.#terms);
    };
    rows.forEach(({ row }, i) => this.#placeTerms(row, i));
    const bounds = rows.map(({ row }) => row.law.guidance.maxKl ?? Infinity);
    const full = mix(new Float64Array(rows.length).fill(1));
    if (bounds.every((bound, i) => full.kl[i]! <= bound)) return full;
    const [low, high] = [new Float64Array(rows.length), new Float64Array(rows.length).fill(1)];
    bounds.forEach((bound, i) => full.kl[i]! <= bound && (low[i] = 1));
    for (let n = 0; n < BISECTIONS; n++) {
      const middle = low.map((x, i) => (x + high[i]!) / 2);
      const { kl } = mix(middle);
      middle.forEach((x, i) => ((kl[i]! <= bounds[i]! ? low : high)[i] = x));
    }
    return mix(low);
  }

  #placeTerms({ sampling: { temperature }, law: { cut } }: LawRow, i: number): void {
    this.#terms.inverse[i] = temperature === 0 ? 1 : 1 / temperature;
    this.#terms.cuts[i] = cut ?? -Infinity;
  }

  /** Rows of `source` that are to be mixed again, in their order; `source` may be the very view they go to. */
  #gathered(
    k: number,
    width: number,
    source: Reals,
    rows: readonly Unsettled<LawRow>[],
  ): Float32Array {
    const view = this.view(k, rows.length, width);
    rows.forEach(({ at }, i) => view.set(source.subarray(at * width, (at + 1) * width), i * width));
    return view;
  }
}
