/** {"self_evaluation": {...}}: the policy asked whether it would do better by starting over; as a reward, and for strategies that ask it themselves. */

import { ServeError } from '../../core/errors.ts';
import { flag, strict, text } from '../../core/fields.ts';
import type { SelfQuestion } from '../../core/self_evaluation.ts';
import type { StrategyContext } from '../../core/strategy.ts';
import { policyCard } from '../catalog.ts';
import type { ModelCard } from '../catalog.ts';
import { judging } from './judge.ts';
import { labelToken, questionTokens, readsField, yesNo } from './language_model.ts';
import { sourceKind } from './source.ts';

export const selfEvaluation = sourceKind(
  ({ questionLength }) => ({
    self_evaluation: strict({
      question: text(questionLength, 1).nullish(),
      uncalibrated: flag.nullish(),
    }),
    reads: readsField,
  }),
  (wire, raw, catalog) => {
    const at = `${raw}.self_evaluation`;
    const card = policyCard(catalog);
    const { question, uncalibrated } = wire.self_evaluation;
    const asked = { question: question ?? null, uncalibrated: uncalibrated ?? false };
    const { asks, labels, calibration } = selfQuestionOf(card)(asked, at);
    const reads = wire.reads ?? 'prefix';
    const questions = [{ asks, labels, values: [1, 0] }];
    return judging(card, questions, calibration, {
      name: 'self_evaluation',
      reads,
      at,
      own: null,
      critique: null,
    });
  },
);

/** In our words. */
const START_OVER = 'Would you do better by starting over?';

/** How this policy is asked; refused where nobody measured what its opinion is worth. */
export const selfQuestionOf =
  (card: ModelCard): NonNullable<StrategyContext['selfQuestion']> =>
  ({ question, uncalibrated }, at): SelfQuestion => {
    const record = card.selfEvaluation ?? null;
    const trusted = record !== null && (question ?? record.question) === record.question;
    if (!trusted && !uncalibrated)
      throw new ServeError(
        'reward_mismatch',
        `${at}: ${card.name} has no calibration record for this question, so its opinion of itself may mean nothing; ask with "uncalibrated": true to have it as it is`,
        at,
      );
    const [yes, no] = yesNo(card).map((one) => labelToken(card, one, at));
    return {
      asks: questionTokens(card, question ?? record?.question ?? START_OVER, `${at}.question`),
      labels: [no!, yes!],
      calibration: trusted ? { scale: record.scale, shift: record.shift } : null,
    };
  };
