/** {"pairwise": MODEL, "question": "... {other} ..."}: which of two answers a language model prefers, over all pairs. */

import { list, oneOf, text, wrong } from '../../core/fields.ts';
import { OTHER } from '../../core/reward.ts';
import { ownPrompt } from '../wire.ts';
import { labelToken, languageModel, questionTokens, readsField, yesNo } from './language_model.ts';
import { readingOf, sourceKind } from './source.ts';

const DEFAULT = `Another answer was: ${OTHER} Is the first one better?`;

export const pairwise = sourceKind(
  ({ questionLength }) => ({
    pairwise: text(256, 1),
    question: text(questionLength, 1).nullish(),
    labels: list(text(64, 1), 2, 2).nullish(),
    aggregate: oneOf(['win_rate', 'copeland', 'lottery', 'knockout']).nullish(),
    average: oneOf(['probability', 'logit']).nullish(),
    prompt: ownPrompt,
    reads: readsField,
  }),
  (wire, at, catalog) => {
    const card = languageModel(wire.pairwise, `${at}.pairwise`, catalog);
    const question = wire.question ?? DEFAULT;
    if (!question.includes(OTHER))
      throw wrong(`${at}.question`, question, `a text with ${OTHER} where the other answer stands`);
    const asks = questionTokens(card, question.replaceAll(OTHER, ''), `${at}.question`);
    const [first, second] = (wire.labels ?? yesNo(card)).map((label, i) =>
      labelToken(card, label, `${at}.labels[${i}]`),
    );
    const reading = readingOf(card, wire.prompt, `${at}.prompt`, asks.length);
    const reads = wire.reads ?? 'complete';
    return {
      source: {
        kind: 'pairwise',
        by: { model: card.name, reading: reading.key },
        question,
        labels: [first!, second!],
        aggregate: wire.aggregate ?? 'win_rate',
        average: wire.average ?? 'probability',
        reads,
      },
      name: `pairwise:${card.name}`,
      reads,
      relative: true,
      readings: [{ ...reading, answers: 2 }],
      at: `${at}.pairwise`,
    };
  },
);
