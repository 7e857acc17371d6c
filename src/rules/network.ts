/** Builds a rule's network: states and what may be read between them. A fragment leads from one state to another. */

import { JUMP, NOWHERE, type RuleNetwork } from '../core/rule.ts';

export type State = number;

/** Edges and calls of one state: (low, high, to) and (rule, back) one after the other. */
interface Moves {
  readonly edges: number[];
  readonly calls: number[];
}

/** A rule that is larger than this server compiles. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

export class Network {
  readonly #moves: Moves[] = [];
  readonly #finals = new Set<State>();
  readonly #most: number;
  #free: State = NOWHERE;

  /** @param most states */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#moves.length;
  }

  /** @throws TooLarge */
  state(): State {
    if (this.#moves.length >= this.#most)
      throw new TooLarge(`needs more than ${this.#most} states, which is all this server compiles`);
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
    this.#moves[from]!.edges.push(low, high, to);
  }

  jump(from: State, to: State): void {
    this.#moves[from]!.calls.push(to, JUMP);
  }

  /** Reads what the rule that starts at `rule` spells. */
  call(from: State, rule: State, to: State): void {
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
    const flat = (list: 'edges' | 'calls', width: number, column: number): number[] =>
      this.#moves.flatMap((moves) => moves[list].filter((_, i) => i % width === column));
    const first = (list: 'edges' | 'calls', width: number): Uint32Array => {
      const starts = new Uint32Array(this.size + 1);
      this.#moves.forEach((moves, s) => (starts[s + 1] = starts[s]! + moves[list].length / width));
      return starts;
    };
    return {
      key,
      start,
      free: this.#free,
      finals: Uint8Array.from(this.#moves, (_, state) => Number(this.#finals.has(state))),
      edges: {
        first: first('edges', 3),
        low: Uint8Array.from(flat('edges', 3, 0)),
        high: Uint8Array.from(flat('edges', 3, 1)),
        to: Uint32Array.from(flat('edges', 3, 2)),
      },
      calls: {
        first: first('calls', 2),
        rule: Uint32Array.from(flat('calls', 2, 0)),
        back: Uint32Array.from(flat('calls', 2, 1)),
      },
      distances: new Uint16Array(this.size),
    };
  }
}

const utf8 = new TextEncoder();
