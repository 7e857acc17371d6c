/**
 * A language model as a judge: after the answer it is asked, and what counts is how likely each label is to come next.
 *   R = mean over questions of sum_k value_k * P(label_k), P renormalised over the labels
 * Yes and no, worth 1 and 0, give sigmoid(l_yes - l_no); ratings their expectation; two options asked about in both orders a
 * judgement without the judge's bias for a place.
 */

import { softmax, sum } from '../core/math.ts';
import type { Candidate, Reward, RewardSource } from '../core/reward.ts';
import { calibrated } from '../core/self_evaluation.ts';
import type { Reader } from './reader.ts';

type JudgeSource = Extract<RewardSource, { kind: 'judge' }>;

export function judge(reader: Reader, asked: JudgeSource): Reward {
  const { by, questions, calibration, reads } = asked;
  return {
    name: `judge:${reader.name}`,
    reads,
    async score(batch, signal) {
      const textsOf = ({ readings, text }: Candidate) => {
        const answered = [...readings[by.reading]!, ...reader.codec.encode(text)];
        return questions.map(({ asks, labels }) => {
          const tokens = [...answered, ...asks];
          return { tokens, picks: labels.map((token) => ({ after: tokens.length - 1, token })) };
        });
      };
      const texts = (await reader.spell(batch, textsOf, signal)).flat();
      const all = await reader.ask(texts, signal);
      return batch.map((_, i) => {
        const at = i * questions.length;
        const values = questions.map(({ values: worth }, q) =>
          all[at + q] === null ? NaN : expected(all[at + q]!, worth),
        );
        const mean = sum(values) / values.length;
        const tokens = sum(questions.map((_, q) => texts[at + q]!.tokens.length));
        return { value: calibration ? calibrated(mean, calibration) : mean, parts: {}, tokens };
      });
    },
  };
}

/** sum_k value_k * p_k, p the softmax of the labels' log-probs. */
export const expected = (logProbs: ArrayLike<number>, values: readonly number[]): number =>
  sum(softmax(Array.from(logProbs)).map((p, k) => p * values[k]!));
