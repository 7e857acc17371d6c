/** Reads the calls of tools back out of an answer's text, piece by piece. A rule has spelled them: nothing here is guessed. */

import { CALL, CALL_TAG } from '../core/call.ts';

/** What a further piece of text holds, in order. */
export type Said =
  | { readonly kind: 'text'; readonly text: string }
  /** A call begins. */
  | { readonly kind: 'call'; readonly index: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

type State = 'open' | 'text' | 'name' | 'arguments';

export class CallReader {
  #state: State = 'open';
  #calls = 0;
  /** Read, but not yet said. */
  #held = '';
  /** Characters of the calls' own words still to be skipped. */
  #skip = 0;
  /** Within the arguments: open brackets, and whether a string or an escape in one is open. */
  #depth = 0;
  #quoted = false;
  #escaped = false;

  get calls(): number {
    return this.#calls;
  }

  read(piece: string): Said[] {
    const said: Said[] = [];
    for (const char of piece) this.#read(char, said);
    if (this.#state === 'text' || this.#state === 'arguments') this.#say(said);
    return said;
  }

  /** No text follows: what could still have become a call is text. */
  end(): Said[] {
    if (this.#state !== 'open' || this.#calls > 0 || this.#held === '') return [];
    return [{ kind: 'text', text: this.#held }];
  }

  #read(char: string, said: Said[]): void {
    if (this.#skip > 0) return void this.#skip--;
    this.#held += char;
    switch (this.#state) {
      case 'open':
        return this.#open();
      case 'text':
        return;
      case 'name':
        return this.#name(char, said);
      case 'arguments':
        return this.#arguments(char, said);
      default:
        return this.#state satisfies never;
    }
  }

  #open(): void {
    if (!CALL_TAG.startsWith(this.#held) && this.#calls === 0) this.#state = 'text';
    if (!this.#held.endsWith(CALL_TAG)) return;
    this.#become('name', CALL.open.length - CALL_TAG.length);
  }

  #name(char: string, said: Said[]): void {
    if (char !== '"') return;
    said.push({ kind: 'call', index: this.#calls++, name: this.#held.slice(0, -1) });
    this.#become('arguments', CALL.middle.length - 1);
  }

  #arguments(char: string, said: Said[]): void {
    if (this.#quoted) {
      if (this.#escaped) this.#escaped = false;
      else if (char === '\\') this.#escaped = true;
      else if (char === '"') this.#quoted = false;
    } else if (char === '"') this.#quoted = true;
    else if (char === '{' || char === '[') this.#depth++;
    else if ((char === '}' || char === ']') && --this.#depth === 0) {
      this.#say(said);
      this.#become('open', CALL.close.length);
    }
  }

  #become(state: State, skip: number): void {
    [this.#state, this.#skip, this.#held] = [state, skip, ''];
  }

  #say(said: Said[]): void {
    if (this.#held === '') return;
    const text = this.#held;
    this.#held = '';
    if (this.#state === 'text') said.push({ kind: 'text', text });
    else said.push({ kind: 'arguments', index: this.#calls - 1, text });
  }
}
