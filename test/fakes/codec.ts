/** A vocabulary of 8 special tokens and 256 bytes: every character of more than one byte is split across tokens. */

import { ServeError } from '../../src/core/errors.ts';
import type { Codec } from '../../src/core/text.ts';
import type { Token } from '../../src/core/tree.ts';

const SPECIAL = 8;
const encode = (text: string): Token[] => [...Buffer.from(text)].map((byte) => byte + SPECIAL);
const bytesOf = (token: Token): Uint8Array =>
  token < SPECIAL ? new Uint8Array() : new Uint8Array([token - SPECIAL]);
const ROLES = { system: 1, user: 2, assistant: 3 } as const;

export const byteCodec: Codec = {
  vocabulary: {
    size: SPECIAL + 256,
    bytes: bytesOf,
    piece: (token) => (token < SPECIAL ? `<|${token}|>` : `byte ${token - SPECIAL}`),
    ends: new Set([0]),
    banned: [1, 2, 3, 4, 5, 6, 7],
  },
  longestToken: 1,
  encode,
  prompt: (text) => [0, ...encode(text)],
  chat(messages) {
    if (messages.at(-1)?.role === 'assistant')
      throw new ServeError('invalid_value', 'the last message must not be the assistant', null);
    return [0, ...messages.flatMap(({ role, content }) => [ROLES[role], ...encode(content)]), 3];
  },
  closing: (complete) => (complete ? [0] : []),
  turn: (content) => ({ lead: [2], content: encode(content), rest: [3] }),
  decode: (tokens, special = false) =>
    Buffer.concat(
      tokens.map((token) =>
        special && token < SPECIAL ? Buffer.from(`<|${token}|>`) : bytesOf(token),
      ),
    ).toString('utf8'),
};
