/**
 * The decode loop, the one owner of mutable state: strategies of all requests wait in `extend`; each iteration
 * takes the rows that are waiting, runs one forward pass per model over them, and wakes those that are done.
 */

import type { Engine, Opening, Session } from '../core/engine.ts';
import { ServeError } from '../core/errors.ts';
import type { Bend, LaneWeights } from '../core/guide.ts';
import type { LanguageModel, Tails, Vocabulary } from '../core/model.ts';
import type { RuleNetwork, RuleState } from '../core/rule.ts';
import type { Branch, Peeked } from '../core/tree.ts';
import { Admission } from './admission.ts';
import { Bending } from './bending.ts';
import { Iteration } from './iteration.ts';
import { lawOf, type Job, type OpenTree } from './job.ts';
import { Laws } from './laws.ts';
import { Prefill } from './prefill.ts';
import { PrefixCache, wholeName } from './prefix_cache.ts';
import { Prompts, type Reading } from './prompts.ts';
import { TreeSession } from './session.ts';
import { SlotPool } from './slots.ts';
import { spaceOf, steeringOf, type Vectors } from './steering.ts';
import { waitFor } from './waiter.ts';

export interface EngineOptions {
  /** The policy and every guide, by name. */
  readonly models: ReadonlyMap<string, LanguageModel>;
  readonly tails: Tails;
  readonly vocabulary: Vocabulary;
  readonly laneWeights: LaneWeights;
  /** What policies can be steered by. */
  readonly vectors: Vectors;
  /** Where an answer under a rule starts. */
  readonly ruleOf: (network: RuleNetwork) => RuleState;
  /** Length classes, shortest first: a short request does not pay for a long row. */
  readonly classes: readonly { readonly length: number; readonly rows: number }[];
  /** Tokens that one iteration may read or step; more wait their turn. */
  readonly iterationTokens: number;
  readonly prefixBytes: number;
  /** Trees that may wait for room. */
  readonly queue: number;
  /** Milliseconds. */
  readonly now: () => number;
  /** Waits for the next iteration's turn; resolves to the tokens of prompts that it may read. Left out: it comes each turn of the event loop, with no bound beside `iterationTokens`. */
  readonly turn?: () => Promise<number>;
  /** Called once a loop turn, before the batch forms: whoever was woken has spoken. */
  readonly onTurn?: () => void;
  /** Called after each iteration with the milliseconds that it took. */
  readonly onIteration?: (ms: number) => void;
}

export class DecodeEngine implements Engine, Disposable {
  readonly #options: EngineOptions;
  readonly #pools: ReadonlyMap<string, readonly SlotPool[]>;
  readonly #admission: Admission;
  readonly #cache: PrefixCache;
  readonly #prefill: Prefill;
  readonly #prompts: Prompts;
  readonly #iteration: Iteration;
  readonly #bending: Bending;
  readonly #jobs = new Set<Job>();
  /** Jobs in no iteration: value guides are being asked, and what they say bends the law before a token is drawn. */
  readonly #judged = new Set<Job>();
  readonly #trees = new Map<OpenTree, { width: number; abort: () => void }>();
  #looping = false;
  /** Counters since the start; seconds. */
  readonly stats = {
    iterations: 0,
    rows: 0,
    prefillTokens: 0,
    prefillSeconds: 0,
    decodeSeconds: 0,
    iterationSeconds: 0,
    forwards: {} as Record<string, number>,
  };

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#pools = new Map(
      [...options.models].map(([name, model]) => [
        name,
        options.classes.map(({ rows, length }) => new SlotPool(model, rows, length)),
      ]),
    );
    this.#admission = new Admission(options.queue);
    this.#cache = new PrefixCache(options.prefixBytes);
    this.#prefill = new Prefill(this.#cache, this.stats);
    const rows = options.classes.reduce((sum, c) => sum + c.rows, 0);
    const ask = (job: Job, bend: Bend, next: readonly Peeked[]): void =>
      void this.#bend(job, bend, next); // it does not reject
    const laws = new Laws({ ...options, rows });
    this.#prompts = new Prompts(laws, options.laneWeights, this.#cache, this.stats);
    this.#iteration = new Iteration({ ...options, laws, ask }, this.stats);
    this.#bending = new Bending(options.vocabulary.size);
  }

  /** Trees that are open, and that wait for room; the share of KV rows promised in the fullest pool. */
  get load(): { running: number; waiting: number; kvUsage: number } {
    const shares = [...this.#pools.values()].flat().map((p) => p.promised / p.rows.rows);
    return {
      running: this.#trees.size,
      waiting: this.#admission.waiting,
      kvUsage: Math.max(0, ...shares),
    };
  }

  get cache(): { queries: number; hits: number; bytes: number } {
    return this.#cache;
  }

  /** Throws unless every row is accounted for; with nothing open, none may be in use. */
  audit(): void {
    for (const pool of [...this.#pools.values()].flat()) {
      pool.audit();
      if (this.#trees.size === 0 && pool.used + pool.promised > 0)
        throw new Error(`${pool.model.name}: ${pool.used} slots in use with no tree open`);
    }
  }

  /** Frees the KV rows. Models and tails are whoever's loaded them. */
  [Symbol.dispose](): void {
    for (const { rows } of [...this.#pools.values()].flat()) rows[Symbol.dispose]();
  }

  async open(opening: Opening, signal: AbortSignal, accepted?: () => void): Promise<Session> {
    const openedAt = this.#options.now();
    const pools = this.#poolsFor(opening);
    const width = await this.#admission.enter(pools, opening.peak, signal, accepted);
    const { vocabulary, laneWeights, vectors, ruleOf, now } = this.#options;
    const spaces = opening.lanes.map((_, lane) => spaceOf(opening, lane));
    const tree: OpenTree = {
      opening,
      limit: { ends: vocabulary.ends, stops: opening.stops, maxTokens: opening.maxTokens },
      rule: opening.rule === null ? null : ruleOf(opening.rule),
      pools,
      steering: steeringOf(opening.steering, vectors),
      spaces,
      keys: opening.lanes.map(({ prompt }, lane) => wholeName(spaces[lane]!, prompt)),
      heads: opening.lanes.map(() => null),
      branches: new Set(),
      signal,
      grown: null,
      waits: new Set(),
      law: lawOf(opening.guidance, pools, laneWeights, opening.rule !== null),
      spent: {
        generatedTokens: 0,
        guideTokens: 0,
        askedTokens: 0,
        cachedTokens: 0,
        queueMs: now() - openedAt,
        prefillMs: 0,
      },
      openedAt: now(),
    };
    const abort = (): void => {
      for (const waiter of tree.waits) waiter.fail(signal.reason as Error);
    };
    signal.addEventListener('abort', abort);
    this.#trees.set(tree, { width, abort });
    const decoding = {
      vocabulary,
      laneWeights,
      wait: this.#wait.bind(this),
      read: this.#read.bind(this),
      close: this.#close.bind(this),
    };
    return new TreeSession(tree, width, decoding);
  }

  /** The shortest class that holds every lane's prompt and the answer. */
  #poolsFor({ lanes, maxTokens, extra }: Opening): SlotPool[] {
    const rowLength = this.#options.classes.at(-1)!.length;
    let longest = 0;
    for (const [lane, { model, prompt }] of lanes.entries()) {
      const length = prompt.length + maxTokens + (lane === 0 ? extra : 0);
      const room = Math.min(rowLength, this.#options.models.get(model)!.context);
      if (length > room)
        throw new ServeError(
          'context_length_exceeded',
          `prompt and answer may take ${length} tokens; ${model} has room for ${room}`,
          'max_tokens',
        );
      longest = Math.max(longest, length);
    }
    const at = this.#options.classes.findIndex((c) => c.length >= longest);
    return lanes.map(({ model }) => this.#pools.get(model)![at]!);
  }

  #close(tree: OpenTree): void {
    const { width, abort } = this.#trees.get(tree)!;
    tree.signal.removeEventListener('abort', abort);
    this.#trees.delete(tree);
    this.#admission.leave(tree.pools, width);
  }

  #wait(tree: OpenTree, jobs: readonly Job[]): Promise<void> {
    const forget = (): void => jobs.forEach((job) => this.#jobs.delete(job));
    return waitFor(tree, jobs.length, forget, (waiter) => {
      for (const job of jobs) {
        job.waiter = waiter;
        this.#queue(job);
      }
    });
  }

  #read(prompt: Reading): Promise<void> {
    let forget = (): void => undefined;
    return waitFor(
      prompt.tree,
      1,
      () => forget(),
      (waiter) => {
        forget = this.#prompts.add(prompt, waiter);
        this.#wake();
      },
    );
  }

  #queue(job: Job): void {
    this.#jobs.add(job);
    this.#wake();
  }

  #wake(): void {
    if (!this.#looping) void this.#loop(); // #loop does not throw: what fails in it is fatal
  }

  /** Lets others judge a job's next tokens, draws one, and lets the job go on; unless nobody waits for it by then. */
  async #bend(job: Job, bend: Bend, next: readonly Peeked[]): Promise<void> {
    const { branch, tree } = job;
    this.#judged.add(job);
    try {
      const continuations = next.map((one) =>
        branch.ahead(one, tree.limit, this.#options.vocabulary),
      );
      const added = await bend.add(continuations, next[0]!.draw.entropy);
      if (!tree.waits.has(job.waiter)) return;
      if (branch.dropped) throw droppedWaiting(branch);
      this.#bending.settle(job, next, added);
      if (job.left > 0) this.#queue(job);
    } catch (error) {
      job.waiter.fail(error as Error);
    } finally {
      this.#judged.delete(job);
    }
  }

  async #loop(): Promise<void> {
    this.#looping = true;
    while (this.#jobs.size + this.#prompts.waiting > 0) {
      const prompts = await (this.#options.turn ?? turn)(); // strategies woken by the last iteration queue their next rows before the batch forms
      this.#options.onTurn?.();
      this.#sweep();
      if (this.#jobs.size + this.#prompts.waiting > 0) this.#iterate(prompts);
    }
    this.#looping = false;
  }

  /** A branch that was dropped while it waited holds no promise of a slot any more. */
  #sweep(): void {
    for (const { branch, waiter } of this.#jobs)
      if (branch.dropped) waiter.fail(droppedWaiting(branch));
  }

  /** @param prompts tokens of them that it may read */
  #iterate(prompts: number): void {
    const { iterationTokens, now, onIteration } = this.#options;
    const started = now();
    const batch = [...this.#jobs].slice(0, iterationTokens);
    const aside = this.#prompts.run(Math.min(prompts, iterationTokens), batch.length > 0);
    const room = Math.max(MIN_PREFILL, iterationTokens - batch.length - aside);
    const ready = this.#prefill.run(batch, Math.min(prompts, room));
    const read = now();
    for (const { tree } of ready)
      if (tree.spent.generatedTokens === 0) tree.spent.prefillMs = read - tree.openedAt;
    this.#iteration.run(ready);
    const turns = this.#jobs.size > batch.length; // rows beyond one iteration: who had a turn goes to the back
    for (const job of ready) {
      const goesOn = job.left > 0 && !this.#judged.has(job);
      if (turns || !goesOn) this.#jobs.delete(job);
      if (turns && goesOn) this.#jobs.add(job);
    }
    const ended = now();
    this.stats.iterations++;
    this.stats.prefillSeconds += (read - started) / 1000;
    this.stats.decodeSeconds += (ended - read) / 1000;
    this.stats.iterationSeconds += (ended - started) / 1000;
    onIteration?.(ended - started);
  }
}

const droppedWaiting = ({ id }: Branch): Error =>
  new Error(`branch ${id} was dropped while it waited`);

/** However many rows step, new prompts still come in. */
const MIN_PREFILL = 64;

const turn = (): Promise<number> => new Promise((resolve) => setImmediate(() => resolve(Infinity)));
