/** Automata over characters to networks over bytes: UTF-8 as it stands, or as a JSON string spells it. */

import type { Dfa } from './dfa.ts';
import type { Network, State } from './network.ts';

/** raw: each character is its UTF-8. json: as inside the quotes of a JSON string, each character in one spelling. */
export type Spelling = 'raw' | 'json';

/** Reads a text of `dfa` from `from` to `to`. */
export function lower(
  network: Network,
  dfa: Dfa,
  spelling: Spelling,
  from: State,
  to: State,
): void {
  const states = dfa.accepts.map((accepts, i) => {
    const state = i === 0 ? from : network.state();
    return { state, accepts };
  });
  // The start may be entered again: nothing but the automaton's own moves may leave it.
  const start = network.state();
  network.jump(from, start);
  states[0] = { state: start, accepts: states[0]!.accepts };
  for (const { state, accepts } of states) if (accepts) network.jump(state, to);
  states.forEach(({ state }, i) => {
    const writer = new CharacterEdges(network, state);
    for (const move of dfa.moves[i]!) {
      const target = states[move.to]!.state;
      if (spelling === 'raw') writer.range(move.low, move.high, target);
      else writer.json(move.low, move.high, target);
    }
  });
}

/** Characters that one state reads; what their spellings share is shared. */
class CharacterEdges {
  readonly #network: Network;
  readonly #from: State;
  /** States on the way to a target, by the bytes that are still to come. */
  readonly #rests = new Map<string, State>();
  /** After a backslash, and after \u00. */
  #escape: State | null = null;
  #unicode: State | null = null;

  constructor(network: Network, from: State) {
    [this.#network, this.#from] = [network, from];
  }

  range(low: number, high: number, to: State): void {
    for (const sequence of utf8Ranges(low, high)) this.#sequence(sequence, to);
  }

  json(low: number, high: number, to: State): void {
    let from = low;
    for (const special of SPECIALS) {
      if (special < low || special > high) continue;
      if (from < special) this.range(from, special - 1, to);
      this.#escaped(special, to);
      from = special + 1;
    }
    if (from <= high) this.range(from, high, to);
  }

  #sequence(bytes: readonly ByteRange[], to: State): void {
    let next = to;
    for (let i = bytes.length - 1; i > 0; i--) next = this.#rest(bytes[i]!, next);
    this.#network.edge(this.#from, ...bytes[0]!, next);
  }

  #rest(bytes: ByteRange, to: State): State {
    const key = `${bytes.join()} ${to}`;
    let state = this.#rests.get(key);
    if (state === undefined) {
      this.#rests.set(key, (state = this.#network.state()));
      this.#network.edge(state, ...bytes, to);
    }
    return state;
  }

  #escaped(code: number, to: State): void {
    const network = this.#network;
    if (this.#escape === null) {
      this.#escape = network.state();
      network.literal(this.#from, '\\', this.#escape);
    }
    const short = SHORT[code];
    if (short !== undefined) return network.literal(this.#escape, short, to);
    if (this.#unicode === null) {
      this.#unicode = network.state();
      network.literal(this.#escape, 'u00', this.#unicode);
    }
    network.literal(this.#unicode, code.toString(16).padStart(2, '0'), to);
  }
}

const SHORT: Readonly<Record<number, string>> = {
  8: 'b',
  9: 't',
  10: 'n',
  12: 'f',
  13: 'r',
  34: '"',
  92: '\\',
};
/** What may not stand in a JSON string as it is. */
const SPECIALS = [...Array.from({ length: 32 }, (_, code) => code), 34, 92];

type ByteRange = readonly [low: number, high: number];

/** First code points of each length, and past the last. */
const LENGTHS = [0, 0x80, 0x800, 0x10000, 0x110000];

/** Sequences of byte ranges that spell exactly the characters from `low` to `high`, surrogates apart. */
function utf8Ranges(low: number, high: number): ByteRange[][] {
  if (high < LENGTHS[1]!) return [[[low, high]]];
  const sequences: ByteRange[][] = [];
  for (let n = 1; n <= 4; n++) {
    const [from, to] = [Math.max(low, LENGTHS[n - 1]!), Math.min(high, LENGTHS[n]! - 1)];
    if (from <= to) cut(from, to, n - 1, sequences);
  }
  return sequences;
}

/** Cuts until the trailing bytes are free: then the range of sequences is a sequence of ranges. */
function cut(low: number, high: number, trailing: number, into: ByteRange[][]): void {
  for (let i = 1; i <= trailing; i++) {
    const mask = (1 << (6 * i)) - 1;
    if ((low & ~mask) === (high & ~mask)) continue;
    if ((low & mask) !== 0) {
      cut(low, low | mask, trailing, into);
      return cut((low | mask) + 1, high, trailing, into);
    }
    if ((high & mask) !== mask) {
      cut(low, (high & ~mask) - 1, trailing, into);
      return cut(high & ~mask, high, trailing, into);
    }
  }
  const [first, last] = [
    utf8.encode(String.fromCodePoint(low)),
    utf8.encode(String.fromCodePoint(high)),
  ];
  into.push(Array.from(first, (byte, i): ByteRange => [byte, last[i]!]));
}

const utf8 = new TextEncoder();
