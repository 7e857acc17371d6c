/**
 * One iteration: prompts are read within the budget, every ready row steps once per model, the tail makes one
 * law of each row's lanes, and a token is drawn. Hot path: one pass, no allocation per vocabulary entry.
 */

import type { Bend, LaneWeights } from '../core/guide.ts';
import type { Mixed, Reals, RowTerms, Tail, Tails, Vocabulary } from '../core/model.ts';
import { STREAM, uniform } from '../core/philox.ts';
import type { Peeked, Token } from '../core/tree.ts';
import { tell } from './asking.ts';
import { drawOf, logZOf, peekedOf, topOf } from './draws.ts';
import { groupsOf, type Group } from './groups.ts';
import { end, isBoundary, stands, take, type Job } from './job.ts';
import { RuledLaw } from './ruled.ts';
import { adjustments } from './adjustments.ts';
import { Sampler, truncates, type Biased } from './sampler.ts';
import type { Slot, SlotPool } from './slots.ts';

const BISECTIONS = 16;

interface IterationOptions {
  readonly tails: Tails;
  readonly vocabulary: Vocabulary;
  readonly laneWeights: LaneWeights;
  /** Most rows of one iteration. */
  readonly rows: number;
  /** Takes a job out of its hands: its law is to be bent once more, which takes until others have judged. */
  readonly ask: (job: Job, bend: Bend, next: readonly Peeked[]) => void;
}

interface IterationStats {
  rows: number;
  readonly forwards: Record<string, number>;
}

/** A row to be mixed again, and where it lies in its group. */
interface Unsettled {
  readonly job: Job;
  readonly at: number;
  readonly entropy: number;
}

export class Iteration {
  readonly #options: IterationOptions;
  readonly #stats: IterationStats;
  readonly #sampler: Sampler;
  readonly #ruled: RuledLaw;
  /** Of the rows at hand. */
  readonly #terms: Record<keyof RowTerms, Float32Array>;
  /** By lane and width: rows gathered for a tail when they do not lie together; views by row count, [0] is all. */
  readonly #scratch: Map<number, Float32Array[]>[] = [];
  readonly #tokens: Int32Array;
  readonly #lengths: Int32Array;
  readonly #stepped = new Map<SlotPool, { logits: Float32Array; rows: number }>();

  constructor(options: IterationOptions, stats: IterationStats) {
    [this.#options, this.#stats] = [options, stats];
    this.#sampler = new Sampler(options.vocabulary.size);
    this.#ruled = new RuledLaw(options.vocabulary.size);
    this.#terms = {
      weights: new Float32Array(options.rows * 16),
      inverse: new Float32Array(options.rows),
      cuts: new Float32Array(options.rows),
    };
    this.#tokens = new Int32Array(options.rows);
    this.#lengths = new Int32Array(options.rows);
  }

  /** Advances jobs whose lanes have all been read by one token each; calls `done` of those that end with it. */
  run(jobs: readonly Job[]): void {
    this.#step(jobs);
    const asking = jobs.filter(({ labels }) => labels !== null);
    for (const job of asking) tell(job, this.#logits(job.branch.slots[0]!));
    const drawing = asking.length === 0 ? jobs : jobs.filter(({ labels }) => labels === null);
    for (const group of groupsOf(drawing)) this.#draw(group);
    this.#stats.rows += jobs.length;
  }

  /** One forward pass per model over all rows that wait for one. */
  #step(jobs: readonly Job[]): void {
    this.#stepped.clear();
    const waiting = new Map<SlotPool, { slots: Slot[]; tokens: Token[] }>();
    for (const job of jobs)
      for (const lane of job.law.lanes) {
        const slot = job.branch.slots[lane]!;
        if (slot.head !== null) continue;
        let run = waiting.get(slot.pool);
        if (run === undefined) waiting.set(slot.pool, (run = { slots: [], tokens: [] }));
        run.slots.push(slot);
        run.tokens.push(job.branch.tokens.at(-1)!);
        if (lane > 0) job.tree.spent.guideTokens++;
      }
    for (const [pool, { slots, tokens }] of waiting) {
      pool.gather(slots, 0);
      slots.forEach((slot, i) => {
        this.#tokens[slot.row] = tokens[i]!;
        this.#lengths[slot.row] = slot.cached++;
      });
      const logits = pool.rows.step(slots.length, this.#tokens, this.#lengths, pool.steering);
      this.#stepped.set(pool, { logits, rows: slots.length });
      const { name } = pool.model;
      this.#stats.forwards[name] = (this.#stats.forwards[name] ?? 0) + 1;
    }
  }

  #draw({ jobs, tempered, top }: Group): void {
    const { lanes, widths, cut } = jobs[0]!.law;
    const tail = this.#options.tails({ widths, tempered, cutting: cut !== null, top });
    const sources = lanes.map((_, k) => this.#sources(jobs, k, widths[k]!));
    jobs.forEach((job, i) => {
      this.#terms.weights.set(job.law.weights, i * lanes.length);
      this.#placeTerms(job, i);
    });
    const mixed = tail.mix(jobs.length, sources, this.#terms);
    const unsettled: Unsettled[] = [];
    jobs.forEach((job, at) => {
      const [kl, entropy] = [mixed.kl[at]!, mixed.entropy[at]!];
      if (isBoundary(job, entropy)) this.#hold(job, mixed, at, sources);
      else if (job.law.conditional && !stands(job, kl, entropy))
        unsettled.push({ job, at, entropy });
      else this.#settle(job, mixed, at, sources);
    });
    if (unsettled.length === 0) return;
    const views = sources.map((source, k) => this.#gathered(k, widths[k]!, source, unsettled));
    const again = this.#remix(unsettled, tail, views);
    unsettled.forEach(({ job }, i) => this.#settle(job, again, i, views));
  }

  /** Mixes rows again with the weights that their entropy masks and KL bounds leave: a scale per row, bisected together. */
  #remix(rows: readonly Unsettled[], tail: Tail, views: readonly Reals[]): Mixed {
    const { laneWeights } = this.#options;
    const { weights } = this.#terms;
    const mix = (scales: Float64Array): Mixed => {
      rows.forEach(({ job: { law, tree }, entropy }, i) => {
        const all = laneWeights(law.guidance, tree.opening.lanes.length, scales[i]!, entropy);
        law.lanes.forEach((lane, k) => (weights[i * views.length + k] = all[lane]!));
      });
      return tail.mix(rows.length, views, this.#terms);
    };
    rows.forEach(({ job }, i) => this.#placeTerms(job, i));
    const bounds = rows.map(({ job }) => job.law.guidance.maxKl ?? Infinity);
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

  #placeTerms({ sampling: { temperature }, law: { cut } }: Job, i: number): void {
    this.#terms.inverse[i] = temperature === 0 ? 1 : 1 / temperature;
    this.#terms.cuts[i] = cut ?? -Infinity;
  }

  /** Rows of `source` that are to be mixed again, in their order; `source` may be the very view they go to. */
  #gathered(k: number, width: number, source: Reals, rows: readonly Unsettled[]): Float32Array {
    const view = this.#view(k, rows.length, width);
    rows.forEach(({ at }, i) => view.set(source.subarray(at * width, (at + 1) * width), i * width));
    return view;
  }

  /** Logits of entry `k` of the law's lanes, row after row: in place where they lie so, else gathered. */
  #sources(jobs: readonly Job[], k: number, width: number): Reals {
    const slots = jobs.map((job) => job.branch.slots[job.law.lanes[k]!]!);
    const { pool } = slots[0]!;
    const run = this.#stepped.get(pool);
    if (
      run?.rows === slots.length &&
      slots.every((slot, i) => slot.pool === pool && slot.head === null && slot.row === i)
    )
      return run.logits;
    const view = this.#view(k, slots.length, width);
    slots.forEach((slot, i) => view.set(this.#logits(slot), i * width));
    return view;
  }

  /** What follows a row, as its model has just said or as it is known. */
  #logits({ head, pool, row }: Slot): Reals {
    const { width } = pool.model;
    return head ?? this.#stepped.get(pool)!.logits.subarray(row * width, (row + 1) * width);
  }

  /** The same view for the same arguments: tails know their inputs by identity. */
  #view(k: number, rows: number, width: number): Float32Array {
    const widths = (this.#scratch[k] ??= new Map());
    let views = widths.get(width);
    if (views === undefined)
      widths.set(width, (views = [new Float32Array(this.#options.rows * width)]));
    return (views[rows] ??= views[0]!.subarray(0, rows * width));
  }

  #settle(job: Job, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    const { rule } = job.branch;
    if (rule === null) return this.#act(job, mixed, i, lanes);
    const ruled = this.#ruled.row(job, rule, mixed, i, lanes);
    this.#act(job, ruled.mixed, 0, ruled.lanes);
  }

  #act(job: Job, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    const { bend } = job.tree.opening;
    if (bend?.applies(mixed.entropy[i]!) === true) this.#ask(job, bend, mixed, i, lanes);
    else if (job.peek > 0) this.#hold(job, mixed, i, lanes);
    else this.#take(job, mixed, i, lanes);
  }

  /** Leaves the branch as it is, its next law known: for a peek, or at a boundary. */
  #hold(job: Job, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    this.#keepHeads(job, i, lanes);
    job.shown = this.#nextOf(job, mixed, i).map((next) => peekedOf(job, mixed, i, lanes, next));
    end(job);
  }

  /** Leaves the next token to a law that others bend, its likeliest tokens known. */
  #ask(job: Job, bend: Bend, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    this.#keepHeads(job, i, lanes);
    const next = topOf(mixed, i, bend.k);
    this.#options.ask(
      job,
      bend,
      next.map((one) => peekedOf(job, mixed, i, lanes, { ...one, bias: 0 })),
    );
  }

  /** The next law may be mixed again without a step. */
  #keepHeads(job: Job, i: number, lanes: readonly Reals[]): void {
    job.law.lanes.forEach((lane, k) => {
      const width = job.law.widths[k]!;
      job.branch.slots[lane]!.head = lanes[k]!.slice(i * width, (i + 1) * width);
    });
  }

  /** What a peek shows: what could be drawn, as far as it was asked for. */
  #nextOf({ branch, tree, sampling, peek }: Job, mixed: Mixed, i: number): Biased[] {
    const changes = adjustments(sampling, branch.tokens, tree.opening.lanes[0]!.prompt);
    if (changes === null && !truncates(sampling))
      return topOf(mixed, i, peek).map((next) => ({ ...next, bias: 0 }));
    return this.#sampler.top(i, mixed, sampling, changes, peek);
  }

  #take(job: Job, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    const { branch, tree, sampling } = job;
    const { opening } = tree;
    const changes = adjustments(sampling, branch.tokens, opening.lanes[0]!.prompt);
    const u = uniform(opening.seed, branch.tokens.length, branch.id, opening.choice, STREAM.token);
    const token = this.#sampler.draw(i, mixed, sampling, changes, u);
    if (opening.record.states)
      branch.addStates(lanes[0]!, i * job.law.widths[0]!, branch.slots[0]!.pool.model.states);
    take(job, drawOf(job, mixed, i, lanes, token), logZOf(job, mixed, i));
  }
}
