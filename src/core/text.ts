/** Text to tokens and back, for one model. */

import type { Token } from './tree.ts';
import type { Vocabulary } from './model.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
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
  /** Special tokens are left out unless asked for. */
  decode(tokens: readonly Token[], special?: boolean): string;
}
