/** Draws as log-probs on the wire: OpenAI's two shapes, and the per-token numbers of `explain`. */

import type { Codec } from '../core/text.ts';
import type { Draw, NextToken, Token } from '../core/tree.ts';
import type { Answer } from '../plan/request.ts';

/** JSON has no infinity: what cannot be drawn reads as this, as in other servers. */
const LEAST = -9999;
const finite = (logprob: number): number => Math.max(LEAST, logprob);

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const fatal = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** A token by itself: special tokens by name; half a character reads as U+FFFD. */
function spell(token: Token, { vocabulary }: Codec): string {
  const bytes = vocabulary.bytes(token);
  return bytes.length === 0 ? vocabulary.piece(token) : lenient.decode(bytes);
}

/** As `spell`, but half a character reads as its bytes, so that no two tokens look alike. */
function spellExactly(token: Token, codec: Codec): string {
  const bytes = codec.vocabulary.bytes(token);
  try {
    return bytes.length === 0 ? spell(token, codec) : fatal.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

/** choices[i].logprobs.content of chat. @param top how many of the likeliest tokens to list: a strategy may have asked for more */
export function chatLogprobs(draws: readonly Draw[], codec: Codec, top: number) {
  const entry = ({ token, logprob }: NextToken) => {
    const bytes = codec.vocabulary.bytes(token);
    return {
      token: spell(token, codec),
      logprob: finite(logprob),
      bytes: bytes.length === 0 ? null : [...bytes],
    };
  };
  return draws.map((draw) => ({ ...entry(draw), top_logprobs: draw.top.slice(0, top).map(entry) }));
}

interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: number[];
  readonly top_logprobs: Record<string, number>[] | null;
  readonly text_offset: number[];
}

/** choices[i].logprobs of completions: offsets run on through an answer, so there is one of these per choice. */
export class CompletionSpeller {
  readonly #codec: Codec;
  readonly #top: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Characters (not UTF-16 units) before the next token. */
  #offset: number;

  constructor(codec: Codec, top: number, echo: string) {
    this.#codec = codec;
    this.#top = top;
    this.#offset = characters(echo);
  }

  spell(draws: readonly Draw[]): CompletionLogprobs {
    const text_offset = draws.map(({ token }) => {
      const at = this.#offset;
      const bytes = this.#codec.vocabulary.bytes(token);
      this.#offset += characters(this.#decoder.decode(bytes, { stream: true }));
      return at;
    });
    return {
      tokens: draws.map(({ token }) => spellExactly(token, this.#codec)),
      token_logprobs: draws.map(({ logprob }) => finite(logprob)),
      top_logprobs: this.#top === 0 ? null : draws.map((draw) => this.#likeliest(draw)),
      text_offset,
    };
  }

  /** The token drawn is always among them, as in OpenAI's answers. */
  #likeliest(draw: Draw): Record<string, number> {
    const entries = [...draw.top.slice(0, this.#top), draw].map(
      ({ token, logprob }): [string, number] => [spellExactly(token, this.#codec), finite(logprob)],
    );
    return Object.fromEntries(entries);
  }
}

const characters = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

/** choices[i].alignment.tokens: what the policy, the guided law and each guide made of a token. */
export function explained(draws: readonly Draw[], { codec, guideOrder }: Answer) {
  return draws.map(({ token, base, logprob, guides, kl }) => ({
    token: spell(token, codec),
    base: finite(base),
    guided: finite(logprob),
    kl,
    guides: guideOrder.map((use) => (use === null ? null : finite(guides[use] ?? 0))),
  }));
}
