/** A branch's text as its tokens arrive: whole characters only, cut before the first stop string. */

import type { Vocabulary } from '../core/model.ts';
import type { Token } from '../core/tree.ts';

const NOTHING = new Uint8Array(0);
/** Of pieces of a text: U+FEFF at the start of one is a character, not a byte order mark. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** By vocabulary and token, once it was read: its text if that is whole characters by itself, else null. */
const texts = new WeakMap<Vocabulary, (string | null | undefined)[]>();

export class BranchText {
  readonly #vocabulary: Vocabulary;
  readonly #texts: (string | null | undefined)[];
  #text = '';
  /** Bytes of a character that is not complete yet. */
  #tail = NOTHING;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    const known = texts.get(vocabulary);
    this.#texts = known ?? Array.from({ length: vocabulary.size });
    if (known === undefined) texts.set(vocabulary, this.#texts);
  }

  get text(): string {
    return this.#text;
  }

  copy(): BranchText {
    const twin = new BranchText(this.#vocabulary);
    [twin.#text, twin.#tail] = [this.#text, this.#tail];
    return twin;
  }

  append(token: Token): void {
    const text = this.#tail.length === 0 ? this.#textOf(token) : null;
    if (text !== null) {
      this.#text += text;
      return;
    }
    const bytes = this.#vocabulary.bytes(token);
    const all = new Uint8Array(this.#tail.length + bytes.length);
    all.set(this.#tail);
    all.set(bytes, this.#tail.length);
    const whole = all.length - incomplete(all);
    this.#text += decoder.decode(all.subarray(0, whole));
    this.#tail = all.subarray(whole);
  }

  #textOf(token: Token): string | null {
    const known = this.#texts[token];
    if (known !== undefined) return known;
    const bytes = this.#vocabulary.bytes(token);
    return (this.#texts[token] = incomplete(bytes) === 0 ? decoder.decode(bytes) : null);
  }

  /** No token follows: half a character becomes U+FFFD. */
  end(): void {
    if (this.#tail.length > 0) this.#text += decoder.decode(this.#tail);
    this.#tail = NOTHING;
  }

  /** Looks for a text at `from` or later; where the earliest starts, or -1. */
  find(texts: readonly string[], from: number): number {
    let first = -1;
    for (const text of texts) {
      const at = this.#text.indexOf(text, Math.max(0, from - text.length + 1));
      if (at >= 0 && (first < 0 || at < first)) first = at;
    }
    return first;
  }

  cut(at: number): void {
    [this.#text, this.#tail] = [this.#text.slice(0, at), NOTHING];
  }
}

/** How many bytes at the end begin a UTF-8 character that more bytes could complete. */
function incomplete(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}
