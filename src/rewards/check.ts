/** Exact checkers: 1 where a text is right, 0 where it is not. They run no model and know no degrees. */

import { answerIn, isNumber } from '../core/answer.ts';
import type { Candidate, Reward, RewardSource } from '../core/reward.ts';
import { fitting } from './json_schema.ts';

type Of<K> = Extract<RewardSource, { kind: K }>;

/** The number that a text answers, against the right one. */
export const numberCheck = ({ answer, extract }: Of<'number'>): Reward =>
  checker('number', ({ text }) => isNumber(answerIn(text, extract), answer));

/** The whole text as JSON, against a schema. */
export function schemaCheck({ schema }: Of<'schema'>): Reward {
  const fits = fitting(schema);
  return checker('json', ({ text }) => fits(text));
}

const checker = (name: string, right: (candidate: Candidate) => boolean): Reward => ({
  name,
  reads: 'complete',
  score: (batch) =>
    Promise.resolve(batch.map((candidate) => ({ value: Number(right(candidate)), parts: {} }))),
});
