/** Builds a rule's network: states and what may be read between them. A fragment leads from one state to another. */

import { JUMP, NOWHERE, type RuleNetwork } from '../core/rule.ts';
import { TooLarge, type Work } from './work.ts';

export type State = number;

/** Steps that each takes, from here to the end of measuring it. */
const STATE = 40;
const EDGE = 20;
const CALL = 40;

/** Edges and calls of one state: (low, high, to) and (rule, back) one after the other. */
interface Moves {
  readonly edges: number[];
  readonly calls: number[];
}

export class Network {
  readonly #moves: Moves[] = [];
  readonly #finals = new Set<State>();
  readonly #most: number;
  readonly #work: Work;
  #free: State = NOWHERE;

  /** @param most states */
  constructor(most: number, work: Work) {
    [this.#most, this.#work] = [most, work];
  }

  get size(): number {
    return this.#moves.length;
  }

  /** @throws TooLarge */
  state(): State {
    if (this.#moves.length >= this.#most)
      throw new TooLarge(`needs more than ${this.#most} states, which is all this server compiles`);
    this.#work.spend(STATE);
    return this.#moves.push({ edges: [], calls: [] }) - 1;
  }

  final(state: State): void {
    this.#finals.add(state);
  }

  /** The state of a text that may go on as it likes. */
  free(): State {
    if (this.#free === NOWHERE) {
      this.#free = this.state();
      this.edge(this.#free, 0, 255, this.#free);
      this.final(this.#free);
    }
    return this.#free;
  }

  /** One byte from `low` to `high`. */
  edge(from: State, low: number, high: number, to: State): void {
    this.#work.spend(EDGE);
    this.#moves[from]!.edges.push(low, high, to);
  }

  jump(from: State, to: State): void {
    this.call(from, to, JUMP);
  }

  /** Reads what the rule that starts at `rule` spells. */
  call(from: State, rule: State, to: State): void {
    this.#work.spend(CALL);
    this.#moves[from]!.calls.push(rule, to);
  }

  /** Reads exactly `text`. */
  literal(from: State, text: string, to: State): void {
    const bytes = utf8.encode(text);
    if (bytes.length === 0) return this.jump(from, to);
    let at = from;
    bytes.forEach((byte, i) => {
      const next = i === bytes.length - 1 ? to : this.state();
      this.edge(at, byte, byte, next);
      at = next;
    });
  }

  /** Reads one of `texts`; what they share at their start is shared here. */
  choice(from: State, texts: readonly string[], to: State): void {
    const known = new Map<string, State>();
    for (const text of new Set(texts)) {
      let at = from;
      for (const byte of utf8.encode(text)) {
        const key = `${at} ${byte}`;
        let next = known.get(key);
        if (next === undefined) {
          known.set(key, (next = this.state()));
          this.edge(at, byte, byte, next);
        }
        at = next;
      }
      this.jump(at, to);
    }
  }

  /** The network as data; distances are still to be filled in. */
  freeze(key: string, start: State): RuleNetwork {
    const [edgesFirst, [low, high, to]] = this.#columns('edges', 3);
    const [callsFirst, [rule, back]] = this.#columns('calls', 2);
    return {
      key,
      start,
      free: this.#free,
      finals: Uint8Array.from(this.#moves, (_, state) => Number(this.#finals.has(state))),
      edges: {
        first: edgesFirst,
        low: Uint8Array.from(low!),
        high: Uint8Array.from(high!),
        to: Uint32Array.from(to!),
      },
      calls: { first: callsFirst, rule: Uint32Array.from(rule!), back: Uint32Array.from(back!) },
      distances: new Uint16Array(this.size),
    };
  }

  /** Where the moves of each state begin, and their members one by one. */
  #columns(list: keyof Moves, width: number): [first: Uint32Array, columns: number[][]] {
    const first = new Uint32Array(this.size + 1);
    const columns = Array.from({ length: width }, (): number[] => []);
    this.#moves.forEach((moves, state) => {
      const members = moves[list];
      first[state + 1] = first[state]! + members.length / width;
      for (let i = 0; i < members.length; i++) columns[i % width]!.push(members[i]!);
    });
    return [first, columns];
  }
}

/** What a network takes of memory. */
export const networkBytes = ({ finals, edges, calls, distances }: RuleNetwork): number =>
  [finals, distances, ...Object.values(edges), ...Object.values(calls)].reduce(
    (sum, array) => sum + array.byteLength,
    1024,
  );

const utf8 = new TextEncoder();
