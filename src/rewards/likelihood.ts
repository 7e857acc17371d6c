/**
 * R(x, y) = sum_t log q(y_t | x, y_<t): an autoregressive reward model as a scorer (GenARM trains it to be one), or any
 * model's own opinion of an answer. The mean over tokens takes out that long answers are less likely.
 */

import { sum } from '../core/math.ts';
import type { Reward, RewardSource } from '../core/reward.ts';
import { lengthMean, tokenScores } from './implicit.ts';
import { answerTokens, continuation, type Reader } from './reader.ts';

type Likelihood = Extract<RewardSource, { kind: 'likelihood' }>;

export function likelihood(reader: Reader, { by, aggregate, tell }: Likelihood): Reward {
  return {
    name: `likelihood:${reader.name}`,
    reads: 'prefix',
    async score(batch, signal) {
      const answers = await reader.spell(batch, answerTokens.bind(null, reader), signal);
      const texts = batch.map(({ readings }, i) =>
        continuation(readings[by.reading]!, answers[i]!),
      );
      const all = await reader.ask(texts, signal);
      return all.map((logProbs, i) => ({
        value: logProbs === null ? NaN : aggregated(logProbs, aggregate),
        parts: {},
        tokens: texts[i]!.tokens.length,
        ...(tell === undefined || logProbs === null
          ? {}
          : { byToken: { [tell]: tokenScores(answers[i]!, logProbs, reader.codec.vocabulary) } }),
      }));
    },
  };
}

/** 0 of no tokens: nothing was said for or against. */
const aggregated = (logProbs: Float32Array, how: 'sum' | 'mean'): number =>
  how === 'sum' || logProbs.length === 0 ? sum(logProbs) : lengthMean(logProbs);
