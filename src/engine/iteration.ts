/**
 * One iteration: prompts are read within the budget, every ready row steps once per model, the tail makes one
 * law of each row's lanes, and a token is drawn. Hot path: one pass, no allocation per vocabulary entry.
 */

import type { LaneWeights } from '../core/guide.ts';
import type { Mixed, Reals, Tails, Vocabulary } from '../core/model.ts';
import { STREAM, uniform } from '../core/philox.ts';
import type { Draw, NextToken, Token } from '../core/tree.ts';
import type { Job } from './job.ts';
import { adjustments, Sampler } from './sampler.ts';
import type { Slot, SlotPool } from './slots.ts';

const BISECTIONS = 16;

export interface IterationOptions {
  readonly tails: Tails;
  readonly vocabulary: Vocabulary;
  readonly laneWeights: LaneWeights;
  /** Most rows of one iteration. */
  readonly rows: number;
}

export interface IterationStats {
  rows: number;
  readonly forwards: Record<string, number>;
}

/** Rows that one run of a tail serves. */
interface Group {
  readonly jobs: Job[];
  readonly tempered: boolean;
}

export class Iteration {
  readonly #options: IterationOptions;
  readonly #stats: IterationStats;
  readonly #sampler: Sampler;
  readonly #weights: Float32Array;
  readonly #inverse: Float32Array;
  /** By lane: rows gathered for a tail when they do not lie together; views by row count. */
  readonly #scratch: { all: Float32Array; views: Float32Array[] }[] = [];
  readonly #tokens: Int32Array;
  readonly #lengths: Int32Array;
  readonly #stepped = new Map<SlotPool, { logits: Float32Array; rows: number }>();

  constructor(options: IterationOptions, stats: IterationStats) {
    [this.#options, this.#stats] = [options, stats];
    this.#sampler = new Sampler(options.vocabulary.size);
    this.#weights = new Float32Array(options.rows * 16);
    this.#inverse = new Float32Array(options.rows);
    this.#tokens = new Int32Array(options.rows);
    this.#lengths = new Int32Array(options.rows);
  }

  /** Advances jobs whose lanes have all been read by one token each; calls `done` of those that end with it. */
  run(jobs: readonly Job[]): void {
    this.#step(jobs);
    for (const group of groupsOf(jobs)) this.#draw(group);
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
      const logits = pool.rows.step(slots.length, this.#tokens, this.#lengths);
      this.#stepped.set(pool, { logits, rows: slots.length });
      const { name } = pool.model;
      this.#stats.forwards[name] = (this.#stats.forwards[name] ?? 0) + 1;
    }
  }

  #draw({ jobs, tempered }: Group): void {
    const { lanes } = jobs[0]!.law;
    const widths = lanes.map((lane) => jobs[0]!.tree.pools[lane]!.model.width);
    const tail = this.#options.tails(widths, tempered);
    const sources = lanes.map((_, k) => this.#sources(jobs, k, widths[k]!));
    jobs.forEach((job, i) => {
      this.#weights.set(job.law.weights, i * lanes.length);
      this.#inverse[i] = job.sampling.temperature === 0 ? 1 : 1 / job.sampling.temperature;
    });
    const mixed = tail.mix(jobs.length, sources, this.#weights, this.#inverse);
    const again: { job: Job; rows: Reals[]; kl: number; entropy: number }[] = [];
    jobs.forEach((job, i) => {
      const rows = (): Reals[] =>
        sources.map((logits, k) => logits.slice(i * widths[k]!, (i + 1) * widths[k]!));
      const [kl, entropy] = [mixed.kl[i]!, mixed.entropy[i]!];
      if (job.peek > 0 || isBoundary(job, entropy)) this.#hold(job, rows(), mixed, i);
      else if (job.law.conditional && !stands(job, kl, entropy))
        again.push({ job, rows: rows(), kl, entropy });
      else this.#take(job, mixed, i, sources);
    });
    for (const { job, rows, entropy } of again) {
      const alone = this.#bend(job, rows, entropy, tempered);
      this.#take(job, alone, 0, rows);
    }
  }

  /** Mixes one row again with the weights that its entropy mask and its KL bound leave. */
  #bend(job: Job, rows: readonly Reals[], entropy: number, tempered: boolean): Mixed {
    const { guidance, lanes } = job.law;
    const tail = this.#options.tails(
      rows.map((row) => row.length),
      tempered,
    );
    const views = rows.map((row, k) => {
      const view = this.#view(k, 1, row.length);
      view.set(row);
      return view;
    });
    const mix = (scale: number): Mixed => {
      const all = this.#options.laneWeights(
        guidance,
        job.tree.opening.lanes.length,
        scale,
        entropy,
      );
      lanes.forEach((lane, k) => (this.#weights[k] = all[lane]!));
      this.#inverse[0] = job.sampling.temperature === 0 ? 1 : 1 / job.sampling.temperature;
      return tail.mix(1, views, this.#weights, this.#inverse);
    };
    const full = mix(1);
    if (guidance.maxKl === null || full.kl[0]! <= guidance.maxKl) return full;
    let [low, high] = [0, 1];
    for (let i = 0; i < BISECTIONS; i++) {
      const middle = (low + high) / 2;
      if (mix(middle).kl[0]! <= guidance.maxKl) low = middle;
      else high = middle;
    }
    return mix(low);
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
    slots.forEach((slot, i) => {
      const row =
        slot.head ??
        this.#stepped.get(slot.pool)!.logits.subarray(slot.row * width, (slot.row + 1) * width);
      view.set(row, i * width);
    });
    return view;
  }

  /** The same view for the same arguments: tails know their inputs by identity. */
  #view(k: number, rows: number, width: number): Float32Array {
    let scratch = this.#scratch[k];
    if (scratch === undefined || scratch.all.length < this.#options.rows * width)
      this.#scratch[k] = scratch = {
        all: new Float32Array(this.#options.rows * width),
        views: [],
      };
    return (scratch.views[rows] ??= scratch.all.subarray(0, rows * width));
  }

  /** Leaves the branch as it is, its next law known: for a peek, or at a boundary. */
  #hold(job: Job, rows: readonly Reals[], mixed: Mixed, i: number): void {
    job.law.lanes.forEach((lane, k) => (job.branch.slots[lane]!.head = rows[k]!));
    job.left = 0;
    job.done(topOf(mixed, i, job.peek));
  }

  #take(job: Job, mixed: Mixed, i: number, lanes: readonly Reals[]): void {
    const { branch, tree, sampling } = job;
    const { opening } = tree;
    const changes = adjustments(sampling, branch.counts, opening.lanes[0]!.prompt);
    const u = uniform(opening.seed, branch.tokens.length, branch.id, opening.choice, STREAM.token);
    const token = this.#sampler.draw(i, mixed, sampling, changes, u);
    const logProb = (k: number): number =>
      lanes[k]![i * widthOf(job, k) + token]! - mixed.norms[k]![i]!;
    const draw: Draw = {
      token,
      logprob: mixed.combined[i * this.#options.vocabulary.size + token]! - mixed.logZ[i]!,
      base: logProb(0),
      kl: mixed.kl[i]!,
      entropy: mixed.entropy[i]!,
      guides: opening.record.guides ? contributions(job, logProb) : NO_NUMBERS,
      top: opening.record.top > 0 ? topOf(mixed, i, opening.record.top) : NO_TOKENS,
    };
    branch.append(draw, lanes.length > 1 ? mixed.logZ[i]! : 0, tree.limit);
    tree.spent.generatedTokens++;
    job.left--;
    job.drawn++;
    if (branch.finish !== null || isPaused(job)) job.left = 0;
    if (job.left === 0) job.done(NO_TOKENS);
  }
}

const NO_NUMBERS: readonly number[] = [];
const NO_TOKENS: readonly NextToken[] = [];

const widthOf = (job: Job, k: number): number => job.tree.pools[job.law.lanes[k]!]!.model.width;

/** One tail run each: same lanes and tempering; freshly read rows apart, so that stepped rows stay in place. */
function groupsOf(jobs: readonly Job[]): Group[] {
  const groups = new Map<string, Group>();
  for (const job of jobs) {
    const { temperature } = job.sampling;
    const tempered = temperature !== 0 && temperature !== 1;
    const fresh = job.branch.slots[0]!.head !== null;
    const widths = job.law.lanes.map((lane) => job.tree.pools[lane]!.model.width);
    const key = `${widths.join()} ${tempered} ${fresh}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { jobs: [job], tempered });
    else group.jobs.push(job);
  }
  for (const { jobs: rows } of groups.values())
    rows.sort((a, b) => a.branch.slots[0]!.row - b.branch.slots[0]!.row);
  return [...groups.values()];
}

/** Whether the row may be drawn from as mixed: no mask applies, and the KL is within its bound. */
function stands({ law: { guidance } }: Job, kl: number, entropy: number): boolean {
  const masked = guidance.uses.some(
    (use) => use.entropyAbove !== null && entropy <= use.entropyAbove,
  );
  return !masked && (guidance.maxKl === null || kl <= guidance.maxKl);
}

/** A segment ends before a token whose entropy reaches the bound. */
const isBoundary = ({ until, drawn }: Job, entropy: number): boolean =>
  until !== null &&
  until !== undefined &&
  'entropy' in until &&
  drawn > 0 &&
  entropy >= until.entropy;

const isPaused = ({ until, branch, from }: Job): boolean =>
  until !== null && until !== undefined && 'text' in until && branch.contains(until.text, from);

/** log q(token) of each guide in the request's order, or log plus - log minus. */
function contributions(job: Job, logProb: (k: number) => number): number[] {
  const at = (lane: number): number => {
    const k = job.law.lanes.indexOf(lane);
    return k < 0 ? 0 : logProb(k);
  };
  return job.law.guidance.uses.map(({ plus, minus }) =>
    minus === null ? at(plus) : at(plus) - at(minus),
  );
}

function topOf(mixed: Mixed, row: number, n: number): NextToken[] {
  return Array.from({ length: Math.min(n, mixed.k) }, (_, i) => ({
    token: mixed.topTokens[2 * (row * mixed.k + i)]!,
    logprob: mixed.topValues[row * mixed.k + i]! - mixed.logZ[row]!,
  }));
}
