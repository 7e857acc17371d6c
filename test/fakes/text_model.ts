/** A language model whose opinion of a token is a hash of everything before it, or whatever a test says. */

import type { AskedText, PickedToken, TextModel } from '../../src/core/model.ts';
import { reader, type Reader } from '../../src/rewards/reader.ts';
import { byteCodec } from './codec.ts';
import { idleTurns } from './turns.ts';

export type Opinion = (text: AskedText, pick: PickedToken) => number;

/** In (-4, 0]. */
const hashed: Opinion = ({ tokens }, { after, token }) => {
  let h = token + 1;
  for (const t of tokens.slice(0, after + 1)) h = Math.imul(h ^ t, 0x85ebca6b) ^ (h >>> 13);
  return ((h >>> 8) / 2 ** 24) * -4;
};

export interface FakeTextModel extends TextModel {
  /** Lengths of the texts of each run. */
  readonly runs: number[][];
}

export function fakeTextModel(name = 'lm', opinion = hashed, context = 256): FakeTextModel {
  const runs: number[][] = [];
  return {
    name,
    context,
    runs,
    logProbs(texts) {
      runs.push(texts.map(({ tokens }) => tokens.length));
      return texts.map((text) =>
        Float32Array.from(text.picks, (pick) => {
          if (pick.after < 0 || pick.after >= text.tokens.length)
            throw new Error(`asked about position ${pick.after} of ${text.tokens.length}`);
          return opinion(text, pick);
        }),
      );
    },
  };
}

export const fakeReader = (
  model: TextModel = fakeTextModel(),
  runTokens = 64,
  timeoutMs = 60_000,
): Reader => reader({ model, codec: byteCodec, runTokens, turns: idleTurns(), timeoutMs });
