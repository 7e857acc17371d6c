/**
 * A network as a walk over tokens: the places an answer may stand in at once, each with the returns it still owes
 * (a pushdown automaton, its stacks shared). States are made as they are reached and remembered, so that a rule
 * costs a walk through the vocabulary once per state and a few look-ups per token after that.
 */

import type { Vocabulary } from '../core/model.ts';
import { FAR, JUMP, type NextTokens, type RuleNetwork, type RuleState } from '../core/rule.ts';
import type { Token } from '../core/tree.ts';
import { networkBytes } from './network.ts';
import { NONE, trieOf, type Trie } from './trie.ts';

/** Places at once. The ones nearest to an end stay: fewer texts, never wrong ones, and never a dead end. */
const MOST_PLACES = 256;
/** Bytes of a state, a place in one, a stack; of a token that may follow: as measured, roughly. */
const BYTES = { state: 400, place: 40, stack: 160, token: 6 };

/** What is to be returned to, innermost first. One object per content. */
class Stack {
  readonly id: number;
  readonly back: number;
  readonly below: Stack | null;
  /** Tokens that suffice to return from all of it. */
  readonly distance: number;
  readonly #above = new Map<number, Stack>();

  constructor(id: number, back: number, below: Stack | null, distance: number) {
    [this.id, this.back, this.below, this.distance] = [id, back, below, distance];
  }

  push(back: number, automaton: Automaton): Stack {
    let stack = this.#above.get(back);
    if (stack === undefined) {
      const distance = this.distance + automaton.network.distances[back]!;
      stack = new Stack(automaton.stacks++, back, this, distance);
      automaton.walked += BYTES.stack;
      this.#above.set(back, stack);
    }
    return stack;
  }
}

interface Place {
  readonly state: number;
  readonly stack: Stack;
}

export class Automaton {
  readonly network: RuleNetwork;
  readonly vocabulary: Vocabulary;
  readonly trie: Trie;
  /** Made so far. */
  stacks = 1;
  /** Held by what is remembered of the walk, by estimate. */
  walked = 0;
  /** Bytes fall into classes that no edge tells apart. */
  readonly classes = new Uint8Array(256);
  readonly #states = new Map<string, Standing>();
  readonly #bottom = new Stack(0, NONE, null, 0);
  readonly #most: number;
  readonly #networkBytes: number;
  readonly start: RuleState;

  /** @param most bytes of states that are remembered; past it they are made anew */
  constructor(network: RuleNetwork, vocabulary: Vocabulary, most: number) {
    [this.network, this.vocabulary, this.trie] = [network, vocabulary, trieOf(vocabulary)];
    [this.#most, this.#networkBytes] = [most, networkBytes(network)];
    const cuts = new Uint8Array(257);
    network.edges.low.forEach((low) => (cuts[low] = 1));
    network.edges.high.forEach((high) => (cuts[high + 1] = 1));
    let current = 0;
    for (let byte = 0; byte < 256; byte++)
      this.classes[byte] = current += byte === 0 ? 0 : cuts[byte]!;
    this.start = this.standing([{ state: network.start, stack: this.#bottom }])!;
  }

  /** Held by the network and the walk, by estimate. */
  get bytes(): number {
    return this.#networkBytes + this.walked;
  }

  /** The state that stands in all that is reached from `kernel` without reading; null if it is nowhere. */
  standing(kernel: readonly Place[]): Standing | null {
    const places = this.#nearest(this.#closure(kernel));
    if (places.length === 0) return null;
    const key = places.map(({ state, stack }) => `${state} ${stack.id}`).join();
    let known = this.#states.get(key);
    if (known === undefined) {
      if (this.walked > this.#most) this.#forget();
      this.#states.set(key, (known = new Standing(this, places)));
      this.walked += BYTES.state + places.length * BYTES.place;
    }
    return known;
  }

  /** Stacks stay: two of one content would count as two places. */
  #forget(): void {
    this.#states.clear();
    this.walked = this.stacks * BYTES.stack;
  }

  /** In the order they are found: equal wherever it is asked from. Only places that lead to an end. */
  #closure(kernel: readonly Place[]): Place[] {
    const { finals, calls, distances } = this.network;
    const found = new Map<number, Place>();
    const add = (state: number, stack: Stack): void => {
      const key = stack.id * finals.length + state;
      if (!found.has(key) && distances[state]! + stack.distance < FAR)
        found.set(key, { state, stack });
    };
    for (const { state, stack } of kernel) add(state, stack);
    for (const { state, stack } of found.values()) {
      if (finals[state] === 1 && stack.below !== null) add(stack.back, stack.below);
      for (let i = calls.first[state]!; i < calls.first[state + 1]!; i++) {
        const [rule, back] = [calls.rule[i]!, calls.back[i]!];
        add(rule, back === JUMP || this.#returns(back) ? stack : stack.push(back, this));
      }
    }
    return [...found.values()].filter(({ state, stack }) => this.#matters(state, stack));
  }

  /** Whether returning to `state` is only to return further: such a return is not kept. */
  #returns(state: number): boolean {
    const { finals, edges, calls } = this.network;
    return (
      finals[state] === 1 &&
      edges.first[state] === edges.first[state + 1] &&
      calls.first[state] === calls.first[state + 1]
    );
  }

  #matters(state: number, stack: Stack): boolean {
    const { finals, edges } = this.network;
    const reads = edges.first[state]! < edges.first[state + 1]!;
    return reads || (finals[state] === 1 && stack.below === null);
  }

  #nearest(places: Place[]): Place[] {
    if (places.length <= MOST_PLACES) return places;
    const { distances } = this.network;
    const order = places.map(({ state, stack }, i) => ({
      i,
      far: distances[state]! + stack.distance,
    }));
    const kept = order.toSorted((a, b) => a.far - b.far || a.i - b.i).slice(0, MOST_PLACES);
    return kept.toSorted((a, b) => a.i - b.i).map(({ i }) => places[i]!);
  }
}

/** Where an answer stands: all its places. */
class Standing implements RuleState {
  readonly distance: number;
  readonly #automaton: Automaton;
  readonly #places: readonly Place[];
  /** By class of byte; undefined: not looked at yet. */
  readonly #steps: (Standing | null | undefined)[] = [];
  #next: NextTokens | null = null;

  constructor(automaton: Automaton, places: readonly Place[]) {
    [this.#automaton, this.#places] = [automaton, places];
    const { distances } = automaton.network;
    this.distance = places.reduce(
      (least, { state, stack }) => Math.min(least, distances[state]! + stack.distance),
      FAR,
    );
  }

  /** Anything may follow. */
  get isFree(): boolean {
    const [only, more] = this.#places;
    return only?.state === this.#automaton.network.free && more === undefined;
  }

  get next(): NextTokens {
    return (this.#next ??= this.#walk());
  }

  after(token: Token): RuleState | null {
    const [first, ...rest] = this.#automaton.vocabulary.bytes(token);
    let at = first === undefined ? null : this.step(first);
    for (const byte of rest) at = at?.step(byte) ?? null;
    return at !== null && at.isFree ? null : at;
  }

  step(byte: number): Standing | null {
    const key = this.#automaton.classes[byte]!;
    const known = this.#steps[key];
    if (known !== undefined) return known;
    const { first, low, high, to } = this.#automaton.network.edges;
    const kernel: Place[] = [];
    for (const { state, stack } of this.#places)
      for (let e = first[state]!; e < first[state + 1]!; e++)
        if (byte >= low[e]! && byte <= high[e]!) kernel.push({ state: to[e]!, stack });
    return (this.#steps[key] = this.#automaton.standing(kernel));
  }

  /** Every token of the vocabulary that can be read from here. */
  #walk(): NextTokens {
    const { first, bytes, nodes, token, twin } = this.#automaton.trie;
    const found: [Token, number][] = [];
    const visit = (node: number, at: Standing): void => {
      for (let c = first[node]!; c < first[node + 1]!; c++) {
        const next = at.step(bytes[c]!);
        if (next === null) continue;
        const child = nodes[c]!;
        for (let t = token[child]!; t !== NONE; t = twin[t]!) found.push([t, next.distance]);
        visit(child, next);
      }
    };
    visit(0, this);
    found.sort(([a], [b]) => a - b);
    this.#automaton.walked += found.length * BYTES.token;
    return {
      tokens: Int32Array.from(found, ([each]) => each),
      distances: Uint16Array.from(found, ([, distance]) => distance),
    };
  }
}
