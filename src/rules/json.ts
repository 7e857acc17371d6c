/** JSON's own words as fragments of a network: what every schema is made of. At most one space follows a colon or a comma. */

import { fixedDfa, type Dfa } from './dfa.ts';
import { lower, type Spelling } from './lower.ts';
import type { Network, State } from './network.ts';
import { FREE_NUMBER } from './numbers.ts';

/** A character of a JSON string, in any spelling but half a surrogate pair. */
const CHARACTER =
  '[^"\\\\\\u0000-\\u001f]|\\\\(["\\\\/bfnrt]|u([0-9A-CEFa-cef][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}))';

export class Json {
  readonly network: Network;
  readonly #rules = new Map<unknown, State>();

  constructor(network: Network) {
    this.network = network;
  }

  /** The start of the rule known by `name`, made by `fill` when first asked for. */
  rule(name: unknown, fill: (from: State, to: State) => void): State {
    const known = this.#rules.get(name);
    if (known !== undefined) return known;
    const [start, end] = [this.network.state(), this.network.state()];
    this.network.final(end);
    this.#rules.set(name, start); // before it is filled: it may call itself
    fill(start, end);
    return start;
  }

  call(name: string, fill: (from: State, to: State) => void, from: State, to: State): void {
    this.network.call(from, this.rule(name, fill), to);
  }

  /** A text of `dfa`, raw or as the inside of a string. */
  text(dfa: Dfa, spelling: Spelling, from: State, to: State): void {
    lower(this.network, dfa, spelling, from, to);
  }

  string(from: State, to: State): void {
    this.call('string', (a, b) => this.text(fixedDfa(`"(${CHARACTER})*"`), 'raw', a, b), from, to);
  }

  /** A string of `least` to `most` characters. */
  stringOf(least: number, most: number, from: State, to: State): void {
    const { network } = this;
    const [quote, open] = [network.state(), network.state()];
    network.literal(from, '"', open);
    network.literal(quote, '"', to);
    let at = open;
    for (let n = 0; n < (most === Infinity ? least : most); n++) {
      if (n >= least) network.jump(at, quote);
      const next = network.state();
      this.#character(at, next);
      at = next;
    }
    if (most === Infinity) this.#character(at, at);
    network.jump(at, quote);
  }

  #character(from: State, to: State): void {
    this.call('character', (a, b) => this.text(fixedDfa(CHARACTER), 'raw', a, b), from, to);
  }

  /** A string whose text, unescaped, `dfa` accepts. */
  quoted(dfa: Dfa, from: State, to: State): void {
    const [open, close] = [this.network.state(), this.network.state()];
    this.network.literal(from, '"', open);
    this.text(dfa, 'json', open, close);
    this.network.literal(close, '"', to);
  }

  number(from: State, to: State): void {
    this.call('number', (a, b) => this.text(fixedDfa(FREE_NUMBER), 'raw', a, b), from, to);
  }

  /** Any value. */
  any(from: State, to: State): void {
    const fill = (a: State, b: State): void => {
      this.string(a, b);
      this.number(a, b);
      this.network.choice(a, ['true', 'false', 'null'], b);
      this.anyObject(a, b);
      this.list(a, b, (x, y) => this.any(x, y));
    };
    this.call('any', fill, from, to);
  }

  anyObject(from: State, to: State): void {
    const entry = (a: State, b: State): void => {
      const colon = this.network.state();
      this.string(a, colon);
      this.any(this.after(colon, ':'), b);
    };
    this.call('object', (a, b) => this.entries(a, b, entry), from, to);
  }

  /** `[`, any number of items, `]`. */
  list(from: State, to: State, item: (from: State, to: State) => void): void {
    this.#enclosed('[', ']', from, to, item);
  }

  /** `{`, any number of entries, `}`. */
  entries(from: State, to: State, entry: (from: State, to: State) => void): void {
    this.#enclosed('{', '}', from, to, entry);
  }

  #enclosed(
    open: string,
    close: string,
    from: State,
    to: State,
    item: (from: State, to: State) => void,
  ): void {
    const { network } = this;
    const [first, done] = [network.state(), network.state()];
    const next = this.after(done, ',');
    network.literal(from, open, first);
    network.literal(first, close, to);
    network.literal(done, close, to);
    const entry = network.state();
    network.jump(first, entry);
    network.jump(next, entry);
    item(entry, done);
  }

  /** Where one goes on after a `mark` and at most one space. */
  after(from: State, mark: string): State {
    const [marked, on] = [this.network.state(), this.network.state()];
    this.network.literal(from, mark, marked);
    this.network.literal(marked, ' ', on);
    this.network.jump(marked, on);
    return on;
  }
}
