/**
 * Turns frontiers into append-only text: what every survivor agrees on can no longer change, so it may be sent.
 * The end of an unfinished text is held back as long as it could still become a stop string.
 */

import type { StreamEvent } from '../core/events.ts';
import { agreement } from '../core/math.ts';
import type { Branch, Draw } from '../core/tree.ts';

type Commitment = Extract<StreamEvent, { kind: 'commit' }>;

export class Commit {
  readonly #choice: number;
  readonly #stops: readonly string[];
  readonly #keepDraws: boolean;
  #text = '';
  #tokens = 0;
  /** The only survivor of the last frontier: what it had is a prefix of what it has. */
  #sole: Branch | null = null;

  constructor(choice: number, stops: readonly string[], keepDraws: boolean) {
    [this.#choice, this.#stops, this.#keepDraws] = [choice, stops, keepDraws];
  }

  /** What has become certain since the last call, or null. Throws if a strategy went back on sent text. */
  frontier(branches: readonly Branch[]): Commitment | null {
    const first = branches[0];
    if (first === undefined) return null;
    let text = first.text;
    let tokens = first.tokens.length;
    for (const other of branches.slice(1)) {
      text = text.slice(0, agreement(text, other.text));
      tokens = Math.min(tokens, agreement(first.tokens, other.tokens));
    }
    if (branches.length > 1) text = text.replace(HALF, '');
    if (branches.length > 1 || first.finish === null) text = this.#settled(text);
    const sole = branches.length === 1 ? first : null;
    if ((sole === null || sole !== this.#sole) && !text.startsWith(this.#text))
      throw new Error('a strategy went back on committed text');
    this.#sole = sole;
    const ended = branches.length === 1 && first.finish !== null;
    if (text.length === this.#text.length && !(ended && tokens > this.#tokens)) return null;
    const commitment: Commitment = {
      kind: 'commit',
      choice: this.#choice,
      text: text.slice(this.#text.length),
      draws: this.#keepDraws ? first.draws.slice(this.#tokens, tokens) : NO_DRAWS,
      tokens: tokens - this.#tokens,
    };
    [this.#text, this.#tokens] = [text, tokens];
    return commitment;
  }

  #settled(text: string): string {
    if (this.#stops.length === 0) return text;
    let held = 0;
    for (const stop of this.#stops)
      for (let n = Math.min(stop.length - 1, text.length); n > held; n--)
        if (text.endsWith(stop.slice(0, n))) held = n;
    return text.slice(0, text.length - held);
  }
}

/** Texts may part in the middle of a character outside the BMP. */
const HALF = /[\uD800-\uDBFF]$/;

const NO_DRAWS: readonly Draw[] = [];
