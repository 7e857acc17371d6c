/**
 * One iteration: prompts are read within the budget, every ready row steps once per model, the tail makes one
 * law of each row's lanes, and a token is drawn. Hot path: one pass, no allocation per vocabulary entry.
 */

import type { Bend } from '../core/guide.ts';
import type { Mixed, Reals, Vocabulary } from '../core/model.ts';
import { STREAM, uniform } from '../core/philox.ts';
import type { Peeked, Token } from '../core/tree.ts';
import { tell } from './asking.ts';
import { drawOf, logZOf, peekedOf, topOf } from './draws.ts';
import { groupsOf, type Group } from './groups.ts';
import { end, isBoundary, take, type Job } from './job.ts';
import type { Laws } from './laws.ts';
import { RuledLaw } from './ruled.ts';
import { adjustments } from './adjustments.ts';
import { Sampler, truncates, type Biased } from './sampler.ts';
import type { Slot, SlotPool } from './slots.ts';

interface IterationOptions {
  readonly laws: Laws;
  readonly vocabulary: Vocabulary;
  /** Takes a job out of its hands: its law is to be bent once more, which takes until others have judged. */
  readonly ask: (job: Job, bend: Bend, next: readonly Peeked[]) => void;
}

interface IterationStats {
  rows: number;
  readonly forwards: Record<string, number>;
}

export class Iteration {
  readonly #options: IterationOptions;
  readonly #stats: IterationStats;
  readonly #sampler: Sampler;
  readonly #ruled: RuledLaw;
  readonly #tokens: Int32Array;
  readonly #lengths: Int32Array;
  readonly #stepped = new Map<SlotPool, { logits: Float32Array; rows: number }>();

  constructor(options: IterationOptions, stats: IterationStats) {
    [this.#options, this.#stats] = [options, stats];
    this.#sampler = new Sampler(options.vocabulary.size);
    this.#ruled = new RuledLaw(options.vocabulary.size);
    this.#tokens = new Int32Array(options.laws.rows);
    this.#lengths = new Int32Array(options.laws.rows);
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
    const { lanes, widths } = jobs[0]!.law;
    const sources = lanes.map((_, k) => this.#sources(jobs, k, widths[k]!));
    this.#options.laws.mix(jobs, sources, {
      tempered,
      top,
      held: isBoundary,
      settle: (job, mixed, i, rows) => {
        if (isBoundary(job, mixed.entropy[i]!)) this.#hold(job, mixed, i, rows);
        else this.#settle(job, mixed, i, rows);
      },
    });
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
    const view = this.#options.laws.view(k, slots.length, width);
    slots.forEach((slot, i) => view.set(this.#logits(slot), i * width));
    return view;
  }

  /** What follows a row, as its model has just said or as it is known. */
  #logits({ head, pool, row }: Slot): Reals {
    const { width } = pool.model;
    return head ?? this.#stepped.get(pool)!.logits.subarray(row * width, (row + 1) * width);
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
