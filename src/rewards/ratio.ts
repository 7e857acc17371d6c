/**
 * R(x, y) from r_t = beta * (log plus(y_t) - log minus(y_t)): what DPO, CDR, implicit process rewards and their kin say of
 * an answer (METHODS.md 2). Over tokens, or over steps that end where a delimiter does.
 */

import { sigmoid, sum } from '../core/math.ts';
import type { RatioAggregate, ReadBy, Reward, RewardSource } from '../core/reward.ts';
import type { Codec } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { decaying, lengthMean, stepRewards, tokenRewards, tokenScores } from './implicit.ts';
import { answerTokens, continuation, type Reader } from './reader.ts';

type Ratio = Extract<RewardSource, { kind: 'ratio' }>;

/** @param plus has the vocabulary of `minus` */
export function ratio(plus: Reader, minus: Reader, asked: Ratio): Reward {
  return {
    name: `ratio:${plus.name}/${minus.name}`,
    reads: 'prefix',
    async score(batch, signal) {
      const answerOf = answerTokens.bind(null, plus);
      const answers = await plus.spell(batch, answerOf, signal);
      const textsOf = ({ reading }: ReadBy) =>
        batch.map(({ readings }, i) => continuation(readings[reading]!, answers[i]!));
      const [above, below] = [textsOf(asked.plus), textsOf(asked.minus)];
      const [ups, downs] = await Promise.all([plus.ask(above, signal), minus.ask(below, signal)]);
      return batch.map((_, i) => {
        const [up, down] = [ups[i]!, downs[i]!];
        const tokens = above[i]!.tokens.length + below[i]!.tokens.length;
        if (up === null || down === null) return { value: NaN, parts: {}, tokens };
        const n = Math.min(up.length, down.length); // one may have had nothing before the first token
        const last = (all: ArrayLike<number>): number[] => Array.from(all).slice(all.length - n);
        const rewards = tokenRewards(last(up), last(down), asked.beta);
        return {
          value: ratioValue(rewards, last(answers[i]!), plus.codec, asked),
          parts: {},
          tokens,
          ...(asked.tell === undefined
            ? {}
            : {
                byToken: { [asked.tell]: tokenScores(answers[i]!, rewards, plus.codec.vocabulary) },
              }),
        };
      });
    },
  };
}

/** One value of an answer's token rewards. */
function ratioValue(
  rewards: readonly number[],
  answer: readonly Token[],
  codec: Codec,
  { aggregate, delimiters, sigmoid: squashed }: Pick<Ratio, 'aggregate' | 'delimiters' | 'sigmoid'>,
): number {
  if (rewards.length === 0) return squashed ? sigmoid(0) : 0;
  const parts =
    delimiters === null ? rewards : stepRewards(rewards, stepEnds(answer, codec, delimiters));
  const value = aggregateOf(parts, aggregate);
  return squashed ? sigmoid(value) : value;
}

function aggregateOf(rewards: readonly number[], how: RatioAggregate): number {
  switch (how) {
    case 'sum':
      return sum(rewards);
    case 'mean':
      return lengthMean(rewards);
    case 'decay':
      return decaying(rewards);
    case 'min':
      return Math.min(...rewards);
    case 'last':
      return rewards.at(-1)!;
    case 'prod':
      return rewards.reduce((product, reward) => product * sigmoid(reward), 1);
    default:
      return how satisfies never;
  }
}

/** Index of the last token of each step, ascending. An end token after the last delimiter belongs to the last step. */
export function stepEnds(
  tokens: readonly Token[],
  { vocabulary }: Codec,
  delimiters: readonly string[],
): number[] {
  const spelled = tokens.map((token) => vocabulary.bytes(token));
  const text = Buffer.concat(spelled);
  const marks = delimiters.map((delimiter) => Buffer.from(delimiter));
  /** Whether some delimiter ends within the bytes from `from` to `to`. */
  const endsIn = (from: number, to: number): boolean =>
    marks.some((mark) => {
      const at = text.indexOf(mark, Math.max(0, from - mark.length + 1));
      return at >= 0 && at + mark.length <= to;
    });
  const ends: number[] = [];
  let at = 0;
  spelled.forEach((bytes, i) => {
    const from = at;
    at += bytes.length;
    if (bytes.length > 0 && endsIn(from, at)) ends.push(i);
  });
  const last = tokens.length - 1;
  const open = spelled.slice((ends.at(-1) ?? -1) + 1).some((bytes) => bytes.length > 0);
  if (open || ends.length === 0) return ends.at(-1) === last ? ends : [...ends, last];
  return [...ends.slice(0, -1), last];
}
