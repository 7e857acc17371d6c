/**
 * FLR: an answer is good if what a content reader would say next is likely, and what a discontent one would say is not.
 *   R = mean over positive lines u of (1/|u|) log P(u | x, y, the user's turn) - the same mean over negative lines
 */

import type { Candidate, Reward, RewardSource } from '../core/reward.ts';
import { lengthMean } from './implicit.ts';
import { continuation, type Reader } from './reader.ts';

type FollowUp = Extract<RewardSource, { kind: 'follow_up' }>;

export function followUp(reader: Reader, { by, positive, negative, reads }: FollowUp): Reward {
  const turns = [...positive, ...negative];
  return {
    name: `follow_up:${reader.name}`,
    reads,
    async score(batch, signal) {
      const textsOf = ({ readings, text }: Candidate) => {
        const answer = reader.codec.encode(text);
        return turns.map(({ lead, content }) =>
          continuation([...readings[by.reading]!, ...answer, ...lead], content),
        );
      };
      const texts = (await reader.spell(batch, textsOf, signal)).flat();
      const all = await reader.ask(texts, signal);
      return batch.map((_, i) => {
        const mine = { from: i * turns.length, to: (i + 1) * turns.length };
        const said = all.slice(mine.from, mine.to);
        const tokens = texts
          .slice(mine.from, mine.to)
          .reduce((n, text) => n + text.tokens.length, 0);
        if (said.includes(null)) return { value: NaN, parts: {}, tokens };
        const value = followUpValue(
          said.slice(0, positive.length) as Float32Array[],
          said.slice(positive.length) as Float32Array[],
        );
        return { value, parts: {}, tokens };
      });
    },
  };
}

/** @param positive log-probs of each line's tokens; a list that is empty counts as 0 */
const followUpValue = (
  positive: readonly ArrayLike<number>[],
  negative: readonly ArrayLike<number>[],
): number => meanOf(positive) - meanOf(negative);

const meanOf = (lines: readonly ArrayLike<number>[]): number =>
  lines.length === 0 ? 0 : lengthMean(lines.map((line) => lengthMean(line)));
