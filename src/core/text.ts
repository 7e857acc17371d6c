/** Text to tokens and back, for one model. */

import type { Token } from './tree.ts';
import type { Vocabulary } from './model.ts';

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/** A token by itself: special tokens by name; half a character reads as U+FFFD. */
export function spell(token: Token, vocabulary: Vocabulary): string {
  const bytes = vocabulary.bytes(token);
  return bytes.length === 0 ? vocabulary.piece(token) : lenient.decode(bytes);
}

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A user's turn after an answer, as a chat template writes it. */
export interface Turn {
  /** What stands between the answer and the turn. */
  readonly lead: readonly Token[];
  readonly content: readonly Token[];
  /** What follows the turn: the assistant may answer then. */
  readonly rest: readonly Token[];
}

export interface Codec {
  readonly vocabulary: Vocabulary;
  /** No token spells more UTF-8 bytes than this: text longer than `longestToken * context` cannot fit. */
  readonly longestToken: number;
  /** Plain text: special-token text in it stays text. */
  encode(text: string): Token[];
  /** A completion's prompt: the start token, where the model has one, then the text. */
  prompt(text: string): Token[];
  /** The model's own chat template, ready for the assistant's answer. Special-token text in contents stays text. Throws ServeError if the template refuses the messages. */
  chat(messages: readonly ChatMessage[]): Token[];
  /** What stands behind an answer that is judged: the end token, where the answer is complete. */
  closing(complete: boolean): readonly Token[];
  /** What a user says to an answer, by the chat template. Throws ServeError if the template has no place for it. */
  turn(content: string): Turn;
  /** Special tokens are left out unless asked for. */
  decode(tokens: readonly Token[], special?: boolean): string;
}
