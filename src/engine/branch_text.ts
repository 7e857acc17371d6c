/** A branch's text as its tokens arrive: whole characters only, cut before the first stop string. */

import type { Vocabulary } from '../core/model.ts';
import type { Token } from '../core/tree.ts';

const NOTHING = new Uint8Array(0);
/** Of pieces of a text: U+FEFF at the start of one is a character, not a byte order mark. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class BranchText {
  readonly #vocabulary: Vocabulary;
  #text = '';
  /** Bytes of a character that is not complete yet. */
  #tail = NOTHING;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
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
    const bytes = this.#vocabulary.bytes(token);
    if (this.#tail.length === 0 && isAscii(bytes)) {
      for (const byte of bytes) this.#text += String.fromCharCode(byte);
      return;
    }
    const all = new Uint8Array(this.#tail.length + bytes.length);
    all.set(this.#tail);
    all.set(bytes, this.#tail.length);
    const whole = all.length - incomplete(all);
    this.#text += decoder.decode(all.subarray(0, whole));
    this.#tail = all.subarray(whole);
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

function isAscii(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte > 0x7f) return false;
  return true;
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
