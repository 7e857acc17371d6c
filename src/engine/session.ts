/** One tree, as its strategy sees it. Everything here is bookkeeping: the engine's iterations do the work. */

import { BudgetSpent } from '../core/budget.ts';
import type { Opening, Session, Spent } from '../core/engine.ts';
import type { GuideUse, LaneWeights } from '../core/guide.ts';
import type { Vocabulary } from '../core/model.ts';
import { STREAM, uniform } from '../core/philox.ts';
import type { Branch, Peeked, Question, Reach, Sampling, Token } from '../core/tree.ts';
import { Hypothesis } from './branch.ts';
import { lawOf, type Job, type Law, type OpenTree } from './job.ts';
import type { Reading } from './prompts.ts';
import type { Waiter } from './waiter.ts';

/** What a session asks of the engine. */
interface Decoding {
  readonly vocabulary: Vocabulary;
  readonly laneWeights: LaneWeights;
  /** Resolves once each job was done. Rejects with what one failed with, or with the signal's reason as soon as it aborts. */
  wait(tree: OpenTree, jobs: readonly Job[]): Promise<void>;
  read(prompt: Reading): Promise<void>;
  close(tree: OpenTree): void;
}

const NOBODY: Waiter = { done: () => undefined, fail: () => undefined };
const NOTHING: readonly never[] = [];

export class TreeSession implements Session {
  readonly root: Branch;
  readonly width: number;
  readonly #tree: OpenTree;
  readonly #decoding: Decoding;
  #nextId = 1;
  #closed = false;

  constructor(tree: OpenTree, width: number, decoding: Decoding) {
    [this.#tree, this.width, this.#decoding] = [tree, width, decoding];
    const root = new Hypothesis(0, tree.pools.length, decoding.vocabulary, tree.rule);
    tree.branches.add(root);
    this.root = root;
  }

  get promptTokens(): number {
    return this.#tree.opening.lanes[0]!.prompt.length;
  }

  get maxTokens(): number {
    return this.#tree.opening.maxTokens;
  }

  get spent(): Spent {
    return this.#tree.spent;
  }

  fork(branch: Branch, n: number): Branch[] {
    return [branch, ...this.#twins(branch, n - 1)];
  }

  twins(branch: Branch, n: number): Branch[] {
    return this.#twins(branch, n);
  }

  reorder(branches: readonly Branch[], places: readonly number[]): Branch[] {
    const all = branches as readonly Hypothesis[];
    const times = all.map(() => 0);
    for (const place of places) times[place]!++;
    all.forEach((branch, i) => {
      if (times[i] === 0 && !branch.dropped) this.#own(branch).release(); // rows for the twins
    });
    const heirs = all.map((branch, i) =>
      times[i] === 0 ? [] : [branch, ...this.#twins(branch, times[i]! - 1)],
    );
    return places.map((place) => heirs[place]!.shift()!);
  }

  take(branch: Branch, next: Peeked): Branch {
    const twin = this.#twin(this.#own(branch), true);
    this.push(twin, next);
    return twin;
  }

  async readPrompt(told: Reading['told']): Promise<void> {
    const branch = this.#own(this.root);
    if (this.promptTokens > 1) await this.#decoding.read({ tree: this.#tree, branch, told });
  }

  /** With fewer tokens left than asked for, each branch gets an equal share: what it gets must not depend on whose row steps first. */
  async extend(branches: readonly Branch[], reach: Reach): Promise<void> {
    const alive: Hypothesis[] = [];
    for (const branch of branches) {
      const own = this.#own(branch);
      if (reach.tokens > 0 && own.finish === null && !alive.includes(own)) alive.push(own);
    }
    this.#unpark(alive);
    let open = alive.map((branch) => this.#job(branch, reach, 0));
    while (open.length > 0) {
      this.#grant(open);
      await this.#decoding.wait(
        this.#tree,
        open.filter((job) => job.left > 0),
      );
      open = open.filter((job) => job.wanted > 0);
    }
  }

  async peek(branch: Branch, k: number): Promise<readonly Peeked[]> {
    const own = this.#own(branch);
    if (k === 0) return NOTHING;
    this.#unpark([own]);
    const known = (own.slots[0]?.head ?? null) !== null;
    if (!known && this.#left() > 0) this.#tree.spent.generatedTokens++; // the pass that whichever token is pushed costs
    const job = this.#job(own, { tokens: 0 }, k);
    await this.#decoding.wait(this.#tree, [job]);
    return job.shown;
  }

  /** As many forks at a time as there is room for. They are of no consequence to the tree, whatever happens meanwhile. */
  async ask(
    branches: readonly Branch[],
    question: Question,
  ): Promise<readonly (readonly number[])[]> {
    const odds: (readonly number[])[] = [];
    while (odds.length < branches.length) {
      const room = Math.max(1, this.width - this.#held());
      const twins = branches
        .slice(odds.length, odds.length + room)
        .flatMap((branch) => this.#twins(branch, 1));
      try {
        odds.push(...(await this.#asked(twins, question)));
      } finally {
        for (const twin of twins) {
          twin.release();
          this.#drop(twin);
        }
      }
    }
    return odds;
  }

  async #asked(
    twins: readonly Hypothesis[],
    { asks, labels }: Question,
  ): Promise<readonly (readonly number[])[]> {
    for (const twin of twins) {
      twin.reopen(this.#tree.limit.ends);
      twin.force(asks);
    }
    this.#tree.spent.askedTokens += twins.length * asks.length;
    this.#unpark(twins);
    const jobs = twins.map((twin) => this.#job(twin, ALONE, 0, labels));
    await this.#decoding.wait(this.#tree, jobs);
    return jobs.map(({ odds }) => odds);
  }

  push(branch: Branch, next: Peeked): void {
    const own = this.#own(branch);
    if (own.finish !== null) throw new Error(`branch ${branch.id} has finished`);
    own.append(next.draw, next.logZ, this.#tree.limit);
  }

  append(branch: Branch, tokens: readonly Token[]): void {
    this.#own(branch).force(tokens);
  }

  park(branches: readonly Branch[]): void {
    for (const branch of branches) this.#own(branch).release();
  }

  uniform(step: number): number {
    const { seed, choice } = this.#tree.opening;
    return uniform(seed, step, 0, choice, STREAM.strategy);
  }

  get branches(): readonly Branch[] {
    return [...this.#tree.branches];
  }

  end(branch: Branch): void {
    this.#own(branch).end();
  }

  follow(grown: (only: Branch) => void): void {
    this.#tree.grown = grown;
  }

  keep(branches: readonly Branch[]): void {
    const kept = new Set(branches.map((b) => this.#own(b)));
    for (const branch of this.#tree.branches) {
      if (kept.has(branch) && branch.finish === null) continue;
      branch.release();
      if (!kept.has(branch)) this.#drop(branch);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const branch of this.#tree.branches) {
      branch.release();
      this.#drop(branch);
    }
    this.#decoding.close(this.#tree);
  }

  /** Shares out the tokens that may still be drawn; throws if none may. */
  #grant(jobs: readonly Job[]): void {
    const left = this.#left();
    const [share, odd] = [Math.floor(left / jobs.length), left % jobs.length];
    jobs.forEach((job, i) => (job.left = Math.min(job.wanted, share + Number(i < odd))));
  }

  /** Tokens that may still be drawn; throws if none may. */
  #left(): number {
    const { opening, spent } = this.#tree;
    const left = opening.budget - spent.generatedTokens;
    if (left <= 0) throw new BudgetSpent('tokens');
    return left;
  }

  /** Branches that hold KV, or will when they are extended. */
  #held(): number {
    let held = 0;
    for (const { parked } of this.#tree.branches) if (!parked) held++;
    return held;
  }

  #unpark(branches: readonly Hypothesis[]): void {
    const parked = branches.filter((branch) => branch.parked);
    this.#refuseOver(this.#held() + parked.length);
    for (const branch of parked) branch.parked = false;
  }

  #refuseOver(held: number): void {
    if (held > this.width)
      throw new Error(`fork to ${held} branches, but the tree may hold ${this.width}`);
  }

  #twins(branch: Branch, n: number): Hypothesis[] {
    const parent = this.#own(branch);
    if (!parent.parked) this.#refuseOver(this.#held() + n);
    return Array.from({ length: n }, () => this.#twin(parent));
  }

  #twin(parent: Hypothesis, parked = parent.parked): Hypothesis {
    const twin = parent.twin(this.#nextId++, this.#decoding.vocabulary, parked);
    this.#tree.branches.add(twin);
    return twin;
  }

  #drop(branch: Hypothesis): void {
    branch.dropped = true;
    this.#tree.branches.delete(branch);
  }

  #own(branch: Branch): Hypothesis {
    const own = branch as Hypothesis;
    if (own.dropped || !this.#tree.branches.has(own))
      throw new Error(`branch ${branch.id} was dropped`);
    return own;
  }

  #job(branch: Hypothesis, reach: Reach, peek: number, labels: Job['labels'] = null): Job {
    const { opening } = this.#tree;
    const sampling: Sampling =
      reach.sampling === undefined ? opening.sampling : { ...opening.sampling, ...reach.sampling };
    return {
      tree: this.#tree,
      branch,
      law: reach.guides === undefined ? this.#tree.law : this.#lawOf(opening, reach.guides),
      sampling,
      until: reach.until ?? null,
      from: branch.text.length,
      wanted: reach.tokens,
      left: 0,
      drawn: 0,
      peek,
      shown: NOTHING,
      labels,
      odds: NOTHING,
      waiter: NOBODY,
    };
  }

  #lawOf(opening: Opening, uses: readonly GuideUse[]): Law {
    const guidance = { ...opening.guidance, uses };
    const { laneWeights } = this.#decoding;
    return lawOf(guidance, this.#tree.pools, laneWeights, opening.rule !== null);
  }
}

/** No token is drawn, and no guide is read. */
const ALONE: Reach = { tokens: 0, guides: [] };
