/**
 * A language model as a judge: after the answer it is asked, and what counts is how likely each label is to come next.
 *   R = mean over questions of sum_k value_k * P(label_k), P renormalised over the labels               (1)
 * Yes and no, worth 1 and 0, give sigmoid(l_yes - l_no); ratings their expectation; two options asked about in both orders a
 * judgement without the judge's bias for a place. It may write critiques first, behind each of which it is asked (CLoud,
 * GenRM-CoT, MM-RLHF):
 *   R = mean over critiques c ~ p(. | x, y) of (1) given x, y, c                                        (2)
 */

import { softmax, sum } from '../core/math.ts';
import type { Candidate, Reward, RewardSource } from '../core/reward.ts';
import { calibrated } from '../core/self_evaluation.ts';
import type { Token } from '../core/tree.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

type JudgeSource = Extract<RewardSource, { kind: 'judge' }>;

/** A candidate and what stands between its answer and the questions: each critique and what asks for it, or nothing once. */
interface Thought {
  readonly candidate: Candidate;
  readonly thoughts: readonly (readonly Token[])[];
  /** Tokens that were read and written for them. */
  readonly tokens: number;
}

/** @param writer asked where the source has a critique */
export function judge(reader: Reader, writer: Writer | null, asked: JudgeSource): Reward {
  const { by, questions, calibration, reads, critique } = asked;
  const answered = ({ readings, text }: Candidate): Token[] => [
    ...readings[by.reading]!,
    ...reader.codec.encode(text),
  ];

  async function criticised(
    batch: readonly Candidate[],
    signal?: AbortSignal,
  ): Promise<readonly Thought[]> {
    if (critique === null || writer === null)
      return batch.map((candidate) => ({ candidate, thoughts: [[]], tokens: 0 }));
    const { asks } = critique;
    const promptOf = (candidate: Candidate): Token[] => [...answered(candidate), ...asks];
    const prompts = await reader.spell(batch, promptOf, signal);
    const written = await writer.write(prompts, critique, signal);
    return batch.map((candidate, i) => {
      const critiques = written[i] ?? [];
      const tokens = prompts[i]!.length + sum(critiques.map(({ length }) => length));
      return { candidate, thoughts: critiques.map((one) => [...asks, ...one]), tokens };
    });
  }

  return {
    name: `judge:${reader.name}`,
    reads,
    async score(batch, signal) {
      const thought = await criticised(batch, signal);
      const textsOf = ({ candidate, thoughts }: Thought) => {
        const before = answered(candidate);
        return thoughts.flatMap((between) =>
          questions.map(({ asks, labels }) => {
            const tokens = [...before, ...between, ...asks];
            return { tokens, picks: labels.map((token) => ({ after: tokens.length - 1, token })) };
          }),
        );
      };
      const texts = await reader.spell(thought, textsOf, signal);
      const all = await reader.ask(texts.flat(), signal);
      let at = 0;
      return thought.map(({ tokens }, i) => {
        const values = texts[i]!.map((_, k) => {
          const said = all[at + k]!;
          return said === null ? NaN : expected(said, questions[k % questions.length]!.values);
        });
        at += values.length;
        const mean = sum(values) / values.length; // NaN of none: too long to be criticised
        const read = tokens + sum(texts[i]!.map((text) => text.tokens.length));
        return {
          value: calibration ? calibrated(mean, calibration) : mean,
          parts: {},
          tokens: read,
        };
      });
    },
  };
}

/** sum_k value_k * p_k, p the softmax of the labels' log-probs. */
export const expected = (logProbs: ArrayLike<number>, values: readonly number[]): number =>
  sum(softmax(Array.from(logProbs)).map((p, k) => p * values[k]!));
