/**
 * R(x, y) = sum_t log q(y_t | x, y_<t): an autoregressive reward model as a scorer (GenARM trains it to be one), or any
 * model's own opinion of an answer. The mean over tokens takes out that long answers are less likely.
 */

import { sum } from '../core/math.ts';
import type { Candidate, Reward, RewardSource } from '../core/reward.ts';
import { lengthMean } from './implicit.ts';
import { answerTokens, continuation, type Reader } from './reader.ts';

type Likelihood = Extract<RewardSource, { kind: 'likelihood' }>;

export function likelihood(reader: Reader, { by, aggregate }: Likelihood): Reward {
  return {
    name: `likelihood:${reader.name}`,
    reads: 'prefix',
    async score(batch, signal) {
      const textOf = (candidate: Candidate) =>
        continuation(candidate.readings[by.reading]!, answerTokens(reader, candidate));
      const texts = await reader.spell(batch, textOf, signal);
      const all = await reader.ask(texts, signal);
      return all.map((logProbs, i) => ({
        value: logProbs === null ? NaN : aggregated(logProbs, aggregate),
        parts: {},
        tokens: texts[i]!.tokens.length,
      }));
    },
  };
}

/** 0 of no tokens: nothing was said for or against. */
const aggregated = (logProbs: Float32Array, how: 'sum' | 'mean'): number =>
  how === 'sum' || logProbs.length === 0 ? sum(logProbs) : lengthMean(logProbs);
