/** A branch as the engine keeps it: its tokens and text, and one KV slot per lane that reads it. */

import type { Reals, StateColumns, Vocabulary } from '../core/model.ts';
import type { RuleState } from '../core/rule.ts';
import type { Branch, Draw, Finish, LayerStates, Peeked, Token } from '../core/tree.ts';
import { BranchText } from './branch_text.ts';
import type { Slot } from './slots.ts';

export class Hypothesis implements Branch {
  readonly id: number;
  tokens: Token[] = [];
  draws: Draw[] = [];
  /** By lane; null where the lane has not read this branch yet. */
  readonly slots: (Slot | null)[];
  logprob = 0;
  base = 0;
  logZ = 0;
  states: LayerStates | null = null;
  finish: Finish | null = null;
  dropped = false;
  /** Holds no slots: they were given back, and are only taken again if it goes on. */
  parked = false;
  /** Where it stands in the request's rule; null: anything may follow. */
  rule: RuleState | null;
  #text: BranchText;

  constructor(id: number, lanes: number, vocabulary: Vocabulary, rule: RuleState | null = null) {
    [this.id, this.rule] = [id, rule];
    this.slots = Array.from({ length: lanes }, () => null);
    this.#text = new BranchText(vocabulary);
  }

  get text(): string {
    return this.#text.text;
  }

  /** @param parked whether the twin holds no slots; of a parked one it must be true */
  twin(id: number, vocabulary: Vocabulary, parked = this.parked): Hypothesis {
    const twin = this.#copy(id, vocabulary);
    twin.parked = parked;
    twin.states = this.states?.map((layer) => layer.slice()) ?? null;
    if (parked) return twin;
    this.slots.forEach((slot, lane) => {
      if (slot !== null && slot.cached > 0) twin.slots[lane] = slot.pool.fork(slot);
    });
    return twin;
  }

  /** The branch as it would be with this token, for whoever judges it. It holds no slots and can go no further. */
  ahead({ draw, logZ }: Peeked, limit: Limit, vocabulary: Vocabulary): Branch {
    const branch = this.#copy(this.id, vocabulary);
    branch.append(draw, logZ, limit);
    return branch;
  }

  /** Adds up the states that the row at `start` of `rows` tells. @param columns null: it tells none */
  addStates(rows: Reals, start: number, columns: StateColumns | null | undefined): void {
    if (!columns) return;
    const { from, layers, width } = columns;
    this.states ??= Array.from({ length: layers }, () => new Float64Array(width));
    let at = start + from;
    for (const layer of this.states) for (let i = 0; i < width; i++) layer[i]! += rows[at++]!;
  }

  /**
   * Takes a token, and finishes on an end token, a stop string or the limit.
   * @param logZ log Z_t of the law it was drawn from
   */
  append(draw: Draw, logZ: number, limit: Limit): void {
    const before = this.text.length;
    this.tokens.push(draw.token);
    this.draws.push(draw);
    this.logprob += draw.logprob;
    this.base += draw.base;
    this.logZ += logZ;
    for (const slot of this.slots) if (slot !== null) slot.head = null;
    if (limit.ends.has(draw.token)) this.finish = 'stop';
    else {
      this.rule = this.rule?.after(draw.token) ?? null;
      this.#text.append(draw.token);
      const stop = this.#text.find(limit.stops, before);
      if (stop >= 0) {
        this.#text.cut(stop);
        this.finish = 'stop';
      } else if (this.tokens.length >= limit.maxTokens) this.finish = 'length';
    }
    if (this.finish !== null) this.#text.end();
  }

  #copy(id: number, vocabulary: Vocabulary): Hypothesis {
    const copy = new Hypothesis(id, this.slots.length, vocabulary, this.rule);
    [copy.tokens, copy.draws] = [this.tokens.slice(), this.draws.slice()];
    [copy.logprob, copy.base, copy.logZ] = [this.logprob, this.base, this.logZ];
    copy.finish = this.finish;
    copy.#text = this.#text.copy();
    return copy;
  }

  /** Takes its end token back, which nothing has read: a question stands right behind the answer. */
  reopen(ends: ReadonlySet<Token>): void {
    if (this.finish !== 'stop' || !ends.has(this.tokens.at(-1)!)) return;
    this.tokens.pop();
    this.draws.pop();
    this.finish = null;
  }

  /** Takes tokens that nobody drew. What reads the branch next reads them first. */
  force(tokens: readonly Token[]): void {
    for (const token of tokens) {
      this.tokens.push(token);
      this.draws.push({ token, ...FORCED });
      this.#text.append(token);
    }
    if (tokens.length === 0) return;
    [this.finish, this.rule] = [null, null]; // what follows is no part of the answer
    for (const slot of this.slots) if (slot !== null) slot.head = null;
  }

  /** No token follows. */
  end(): void {
    this.finish ??= 'length';
    this.#text.end();
  }

  /** Whether the text from `from` on contains one of `texts`. */
  contains(texts: readonly string[], from: number): boolean {
    return texts.some((text) => this.text.includes(text, from));
  }

  release(): void {
    this.parked = true;
    this.slots.forEach((slot, lane) => {
      slot?.pool.release(slot);
      this.slots[lane] = null;
    });
  }
}

/** It was certain. */
const FORCED = { logprob: 0, base: 0, kl: 0, entropy: 0, guides: [], top: [] } as const;

export interface Limit {
  readonly ends: ReadonlySet<Token>;
  readonly stops: readonly string[];
  readonly maxTokens: number;
}
