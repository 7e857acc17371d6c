/** Draws as log-probs on the wire: OpenAI's two shapes, and the per-token numbers of `explain`. */

import { spell } from '../core/text.ts';
import type { Codec } from '../core/text.ts';
import type { Draw, NextToken, Token } from '../core/tree.ts';
import type { Answer, Echo } from '../plan/request.ts';

/** JSON has no infinity: what cannot be drawn reads as this, as in other servers. */
const LEAST = -9999;
const finite = (logprob: number): number => Math.max(LEAST, logprob);

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const fatal = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** As `spell`, but half a character reads as its bytes, so that no two tokens look alike. */
function spellExactly(token: Token, codec: Codec): string {
  const bytes = codec.vocabulary.bytes(token);
  try {
    return bytes.length === 0 ? spell(token, codec.vocabulary) : fatal.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

/** choices[i].logprobs.content of chat. @param top how many of the likeliest tokens to list: a strategy may have asked for more */
export function chatLogprobs(draws: readonly Draw[], codec: Codec, top: number) {
  const entry = ({ token, logprob }: NextToken) => {
    const bytes = codec.vocabulary.bytes(token);
    return {
      token: spell(token, codec.vocabulary),
      logprob: finite(logprob),
      bytes: bytes.length === 0 ? null : [...bytes],
    };
  };
  return draws.map((draw) => ({ ...entry(draw), top_logprobs: draw.top.slice(0, top).map(entry) }));
}

interface CompletionLogprobs {
  readonly tokens: string[];
  /** Null of a prompt's first token, which follows nothing. */
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[] | null;
  readonly text_offset: number[];
}

/** A token of an answer, or of a prompt that it repeats: without log-prob where nothing is before it. */
export type Spoken = Draw | { readonly token: Token; readonly logprob: null };

/** A prompt's tokens with what the law said of all but the first. */
export const repeated = ({ tokens }: Echo, draws: readonly Draw[]): Spoken[] =>
  tokens.length === 0 ? [] : [{ token: tokens[0]!, logprob: null }, ...draws];

/** choices[i].logprobs of completions: offsets run on through an answer, so there is one of these per choice. */
export class CompletionSpeller {
  readonly #codec: Codec;
  readonly #top: number;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Characters (not UTF-16 units) before the next token; below 0 within what a tokenizer puts before a text. */
  #offset = 0;

  /** @param echo the prompt whose tokens are spelled first; null: none is */
  constructor(codec: Codec, top: number, echo: Echo | null) {
    [this.#codec, this.#top] = [codec, top];
    if (echo === null) return;
    const bytes = echo.tokens.map((token) => codec.vocabulary.bytes(token));
    this.#offset = characters(echo.text) - characters(lenient.decode(Buffer.concat(bytes)));
  }

  spell(spoken: readonly Spoken[]): CompletionLogprobs {
    const text_offset = spoken.map(({ token }) => {
      const at = Math.max(0, this.#offset);
      const bytes = this.#codec.vocabulary.bytes(token);
      this.#offset += characters(this.#decoder.decode(bytes, { stream: true }));
      return at;
    });
    return {
      tokens: spoken.map(({ token }) => spellExactly(token, this.#codec)),
      token_logprobs: spoken.map(({ logprob }) => (logprob === null ? null : finite(logprob))),
      top_logprobs: this.#top === 0 ? null : spoken.map((one) => this.#likeliest(one)),
      text_offset,
    };
  }

  /** The token itself is always among them, as in OpenAI's answers; of tokens that are spelled alike, the likeliest. */
  #likeliest(spoken: Spoken): Record<string, number> | null {
    if (spoken.logprob === null) return null;
    const likeliest = new Map<string, number>();
    for (const { token, logprob } of [...spoken.top.slice(0, this.#top), spoken]) {
      const spelled = spellExactly(token, this.#codec);
      if (!likeliest.has(spelled)) likeliest.set(spelled, finite(logprob));
    }
    return Object.fromEntries(likeliest);
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
    token: spell(token, codec.vocabulary),
    base: finite(base),
    guided: finite(logprob),
    kl,
    guides: guideOrder.map((use) => (use === null ? null : finite(guides[use] ?? 0))),
  }));
}
