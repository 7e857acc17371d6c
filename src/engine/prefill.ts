/**
 * Reads prompts between decode steps, at most so many tokens an iteration: in turns, equal prompts once
 * (the others copy the row, or find it in the prefix cache), short ones of a burst together in one run.
 */

import type { Token } from '../core/tree.ts';
import { target, type Job } from './job.ts';
import type { PrefixCache } from './prefix_cache.ts';
import { sequence, type Slot, type SlotPool } from './slots.ts';

/** A lane of a branch that has positions to read before it can step. */
interface Reading {
  readonly job: Job;
  readonly lane: number;
  readonly slot: Slot;
  readonly prompt: readonly Token[];
  /** Its slot was taken just now: nobody has looked for its prompt yet. */
  readonly fresh: boolean;
}

/** Room for two tokens, and for one more where one would be left behind. */
export const MIN_CHUNK = 3;

interface PrefillStats {
  prefillTokens: number;
}

export class Prefill {
  readonly #cache: PrefixCache;
  readonly #stats: PrefillStats;
  #turn = 0;

  constructor(cache: PrefixCache, stats: PrefillStats) {
    this.#cache = cache;
    this.#stats = stats;
  }

  /** Reads up to about `budget` tokens for these jobs. Returns the jobs whose lanes can all step. */
  run(jobs: readonly Job[], budget: number): Job[] {
    let waiting = jobs.flatMap((job) => readings(job));
    if (waiting.length === 0) return [...jobs];
    waiting = waiting.filter((reading) => !(reading.fresh && this.#adopt(reading)));
    const read = this.#read(this.#choose(waiting, budget));
    waiting = waiting.filter(
      (reading) => !isRead(reading) && !(read.has(keyOf(reading)) && this.#adopt(reading)),
    );
    const unready = new Set(waiting.map(({ job }) => job));
    return jobs.filter((job) => !unready.has(job));
  }

  /** Fair turns within the budget; of equal prompts only the one that has read most. */
  #choose(waiting: readonly Reading[], budget: number): Map<Reading, number> {
    const leaders = new Map<string | Slot, Reading>();
    for (const reading of waiting) {
      const { slot, prompt } = reading;
      const key = slot.cached < prompt.length ? keyOf(reading) : slot;
      const leader = leaders.get(key);
      if (leader === undefined || leader.slot.cached < slot.cached) leaders.set(key, reading);
    }
    const queue = [...leaders.values()];
    const first = this.#turn++ % Math.max(1, queue.length);
    const chosen = new Map<Reading, number>();
    for (const reading of [...queue.slice(first), ...queue.slice(0, first)]) {
      if (budget < MIN_CHUNK) break;
      const chunk = chunkOf(reading, budget);
      chosen.set(reading, chunk);
      budget -= chunk;
    }
    return chosen;
  }

  /** Returns the keys of prompts that have now been read to their end. */
  #read(chosen: ReadonlyMap<Reading, number>): Set<string> {
    const whole = new Map<SlotPool, Reading[]>();
    for (const [reading, chunk] of chosen) {
      const { slot, prompt } = reading;
      if (slot.cached === 0 && chunk === prompt.length)
        whole.set(slot.pool, [...(whole.get(slot.pool) ?? []), reading]);
      else this.#readOne(reading, chunk);
    }
    for (const [pool, readings] of whole)
      for (const burst of alike(readings))
        if (burst.length === 1) this.#readOne(burst[0]!, burst[0]!.prompt.length);
        else this.#readBurst(pool, burst);
    const ended = [...chosen.keys()].filter(({ slot, prompt }) => slot.cached === prompt.length);
    return new Set(ended.map(keyOf));
  }

  #readOne(reading: Reading, chunk: number): void {
    const { slot, job, prompt } = reading;
    const from = slot.cached;
    const tokens = sequence(prompt, job.branch.tokens, from, from + chunk);
    const logits = slot.pool.rows.prefill(slot.row, tokens, from, slot.steering);
    this.#advance(reading, chunk, logits);
  }

  #readBurst(pool: SlotPool, burst: readonly Reading[]): void {
    const slots = burst.map(({ slot }) => slot);
    const first = pool.used - burst.length;
    pool.gather(slots, first);
    const inOrder = burst.toSorted((a, b) => a.slot.row - b.slot.row);
    const logits = pool.rows.prefillBatch(
      first,
      inOrder.map(({ prompt }) => prompt),
      inOrder.map(({ slot }) => slot.steering),
    );
    const { width } = pool.model;
    inOrder.forEach((reading, i) =>
      this.#advance(reading, reading.prompt.length, logits.subarray(i * width, (i + 1) * width)),
    );
  }

  #advance(reading: Reading, chunk: number, logits: Float32Array): void {
    const { slot, job, lane, prompt } = reading;
    slot.cached += chunk;
    this.#stats.prefillTokens += chunk;
    if (lane > 0) job.tree.spent.guideTokens += chunk;
    const head = logits.slice();
    if (slot.cached === target(job, lane)) slot.head = head;
    if (slot.cached !== prompt.length) return;
    job.tree.heads[lane] = head;
    const block = slot.pool.rows.save(slot.row, prompt.length);
    this.#cache.store(job.tree.spaces[lane]!, prompt, block, head);
  }

  /** Takes the prompt's positions from a sibling or the cache. Returns whether nothing is left to read. */
  #adopt(reading: Reading): boolean {
    const { slot, job, lane, prompt, fresh } = reading;
    if (slot.cached > 0) return false;
    const head = job.tree.heads[lane] ?? null;
    const sibling = [...job.tree.branches].find(
      (branch) => branch !== job.branch && (branch.slots[lane]?.cached ?? 0) >= prompt.length,
    );
    if (head !== null && sibling !== undefined) {
      slot.pool.rows.copy(sibling.slots[lane]!.row, slot.row, prompt.length);
      slot.cached = prompt.length;
    } else {
      const hit = this.#cache.find(job.tree.spaces[lane]!, prompt, !fresh);
      if (hit === null) return false;
      slot.pool.rows.load(slot.row, hit.block, hit.length);
      slot.cached = hit.length;
      if (lane === 0) job.tree.spent.cachedTokens = hit.length;
      job.tree.heads[lane] ??= hit.logits;
    }
    if (slot.cached === target(job, lane)) slot.head = job.tree.heads[lane]!;
    return isRead(reading);
  }
}

/** The lanes of a job that cannot step yet; takes a slot where a lane has none. */
function readings(job: Job): Reading[] {
  const waiting: Reading[] = [];
  for (const lane of job.law.lanes) {
    const fresh = job.branch.slots[lane] === null;
    const slot = (job.branch.slots[lane] ??= job.tree.pools[lane]!.take(
      lane === 0 ? job.tree.steering : null,
    ));
    const { prompt } = job.tree.opening.lanes[lane]!;
    if (
      slot.head !== null ||
      (slot.cached >= prompt.length && slot.cached === target(job, lane) - 1)
    )
      continue;
    waiting.push({ job, lane, slot, prompt, fresh });
  }
  return waiting;
}

/** Equal for equal prompts of one model, salt and steering. */
const keyOf = ({ job, lane }: Reading): string => job.tree.keys[lane]!;

/** Runs of prompts of like length: padding at most doubles what is read. */
function alike(readings: readonly Reading[]): Reading[][] {
  const runs: Reading[][] = [];
  for (const reading of readings.toSorted((a, b) => a.prompt.length - b.prompt.length)) {
    const run = runs.at(-1);
    if (run !== undefined && reading.prompt.length <= 2 * run[0]!.prompt.length) run.push(reading);
    else runs.push([reading]);
  }
  return runs;
}

/** Ready to step: all but the last generated token is held, or all of it with the logits that follow. */
function isRead({ slot, job, lane, prompt }: Reading): boolean {
  const missing = target(job, lane) - slot.cached;
  return missing === 0 || (missing === 1 && slot.cached >= prompt.length);
}

/** The prompt is read as a unit, then what was generated since: whether the cache held the prompt must not show. */
function chunkOf({ slot, job, lane, prompt }: Reading, budget: number): number {
  const goal = slot.cached < prompt.length ? prompt.length : target(job, lane);
  return chunkSize(goal - slot.cached, budget);
}

/**
 * How many of `missing` tokens are read now. Never leaves a single token behind: one alone would be a step, and steps
 * differ from prefill in the last bits.
 * @param budget MIN_CHUNK or more
 */
export function chunkSize(missing: number, budget: number): number {
  const chunk = Math.min(missing, budget);
  return missing - chunk === 1 ? chunk - 1 : chunk;
}
