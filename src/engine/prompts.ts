/**
 * What the guided law says of the tokens of prompts (logprobs with echo): each lane reads the prompt, is read out at every
 * token, and the tail makes one law of each position. A chunk an iteration, in turns, so that nobody's decoding waits for
 * a whole prompt. Nothing is taken from the prefix cache, which holds no logits inside a prompt; what was read enters it.
 */

import type { LaneWeights } from '../core/guide.ts';
import type { Reals } from '../core/model.ts';
import type { Draw } from '../core/tree.ts';
import type { Hypothesis } from './branch.ts';
import { drawOf } from './draws.ts';
import { listing } from './groups.ts';
import { lawOf, type Law, type OpenTree } from './job.ts';
import type { LawRow, Laws } from './laws.ts';
import { chunkSize, MIN_CHUNK } from './prefill.ts';
import type { PrefixCache } from './prefix_cache.ts';
import type { Slot } from './slots.ts';
import type { Waiter } from './waiter.ts';

/** A prompt of two tokens or more that is to be read out. */
export interface Reading {
  readonly tree: OpenTree;
  /** The root, whose slots are taken. */
  readonly branch: Hypothesis;
  /** Told of the next positions, in order: the first is the prompt's second token. */
  readonly told: (draws: readonly Draw[]) => void;
}

interface Job extends Reading {
  readonly law: Law;
  /** Positions that every lane has read. */
  at: number;
  readonly waiter: Waiter;
}

/** A position whose next token is looked at. */
interface Position extends LawRow {
  readonly at: number;
}

/** The law before temperature. */
const sampling = { temperature: 1 } as const;

/** Tokens of a chunk that is read beside what others draw and read. */
const MOST_ASIDE = 64;

/** Logits that one chunk may hold, over all lanes: 32 MB. */
const MOST_LOGITS = 2 ** 23;

interface Stats {
  prefillTokens: number;
}

export class Prompts {
  readonly #laws: Laws;
  readonly #cache: PrefixCache;
  readonly #stats: Stats;
  readonly #laneWeights: LaneWeights;
  readonly #jobs = new Set<Job>();

  constructor(laws: Laws, laneWeights: LaneWeights, cache: PrefixCache, stats: Stats) {
    [this.#laws, this.#laneWeights] = [laws, laneWeights];
    [this.#cache, this.#stats] = [cache, stats];
  }

  get waiting(): number {
    return this.#jobs.size;
  }

  /** Queues a prompt. A rule is of answers only: the law is the guided one as it stands. Returns what takes it back. */
  add(reading: Reading, waiter: Waiter): () => void {
    const { opening, pools } = reading.tree;
    const law = lawOf(opening.guidance, pools, this.#laneWeights, false);
    const job: Job = { ...reading, law, at: 0, waiter };
    this.#jobs.add(job);
    return () => void this.#jobs.delete(job);
  }

  /**
   * Reads a chunk of the prompt whose turn it is: about `budget` tokens over all lanes, fewer beside others. Returns how
   * many it was.
   */
  run(budget: number, others: boolean): number {
    const [job] = this.#jobs;
    if (job === undefined) return 0;
    this.#jobs.delete(job);
    const { tree, law, at } = job;
    const { prompt } = tree.opening.lanes[0]!;
    const slots = law.lanes.map((lane) => slotOf(job, lane));
    const width = law.widths.reduce((all, one) => all + one, 0);
    const room = others ? Math.min(MOST_ASIDE, budget) : budget;
    const most = Math.min(room / slots.length, MOST_LOGITS / width);
    const size = chunkSize(prompt.length - at, Math.max(MIN_CHUNK, Math.floor(most)));
    const logits = slots.map((slot, k) => this.#read(job, slot, law.lanes[k]!, size));
    const draws = this.#draws(job, logits, Math.min(size, prompt.length - 1 - at));
    job.at += size;
    if (job.at === prompt.length) this.#keep(job, slots, logits);
    try {
      job.told(draws);
    } catch (error) {
      job.waiter.fail(error as Error); // its own tree fails, not the loop
      return size * slots.length;
    }
    if (job.at < prompt.length) this.#jobs.add(job);
    else job.waiter.done();
    return size * slots.length;
  }

  /** The logits after each of the next `size` tokens, [size, width]. */
  #read({ tree, at }: Job, slot: Slot, lane: number, size: number): Float32Array {
    const { prompt } = tree.opening.lanes[lane]!;
    const tokens = prompt.slice(at, at + size);
    const logits = slot.pool.rows.prefillAll(slot.row, tokens, at, slot.steering);
    slot.cached += size;
    this.#stats.prefillTokens += size;
    if (lane > 0) tree.spent.guideTokens += size;
    return logits;
  }

  /** What the law of each of the chunk's first `n` positions says of the token that follows. */
  #draws(job: Job, logits: readonly Reals[], n: number): Draw[] {
    const { tree, law } = job;
    const { opening } = tree;
    const { prompt } = opening.lanes[0]!;
    const draws: Draw[] = [];
    for (let from = 0; from < n; from += this.#laws.rows) {
      const rows = Array.from({ length: Math.min(this.#laws.rows, n - from) }, (_, i): Position => {
        return { tree, law, sampling, at: from + i };
      });
      const sources = logits.map((all, k) => {
        const width = law.widths[k]!;
        const view = this.#laws.view(k, rows.length, width);
        view.set(all.subarray(from * width, (from + rows.length) * width));
        return view;
      });
      this.#laws.mix(rows, sources, {
        tempered: false,
        top: listing(opening.record.top),
        held: () => false,
        settle: ({ at }, mixed, i, lanes) => {
          draws[at] = drawOf(job, mixed, i, lanes, prompt[job.at + at + 1]!);
        },
      });
    }
    return draws;
  }

  /** The prompt has been read: what follows it is known, to its tree and to the cache. */
  #keep({ tree, law }: Job, slots: readonly Slot[], logits: readonly Float32Array[]): void {
    slots.forEach((slot, k) => {
      const lane = law.lanes[k]!;
      const { prompt } = tree.opening.lanes[lane]!;
      const head = logits[k]!.slice(-law.widths[k]!);
      [slot.head, tree.heads[lane]] = [head, head];
      const block = slot.pool.rows.save(slot.row, prompt.length);
      this.#cache.store(tree.spaces[lane]!, prompt, block, head);
    });
  }
}

/** The root's slot of a lane, taken where it has none. */
const slotOf = ({ tree, branch }: Job, lane: number): Slot =>
  (branch.slots[lane] ??= tree.pools[lane]!.take(lane === 0 ? tree.steering : null));
