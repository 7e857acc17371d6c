/**
 * Pruning by self-evaluation (Manvi et al. 2024): at each decision point the worst share alpha of the unfinished answers is
 * given up, by what the policy itself says of them. No reward model runs; an answer costs the tokens of the question.
 */

import { either, integer, list, number, read, strict } from '../../core/fields.ts';
import type { SelfQuestion } from '../../core/self_evaluation.ts';
import { SPARE, selfEvaluated, selfFields, selfQuestion } from '../self_evaluation.ts';
import { lengthsOf, type PruneRule } from './rule.ts';
import { surviving } from './speculative_rejection.ts';

interface SelfEvaluation {
  readonly alpha: number;
  /** Decision points, in tokens. */
  readonly at: readonly number[];
  readonly self: SelfQuestion;
}

const fields = strict({
  alpha: either(number(0, 0.99), 0.5),
  at: either(list(integer(1, 1_000_000), 64, 1), [64]),
  ...selfFields,
});

export const selfEvaluation: PruneRule<SelfEvaluation> = {
  fields,
  parse(raw, context) {
    const { alpha, at, ...asked } = read(fields, raw);
    return { alpha, at: lengthsOf(at, alpha), self: selfQuestion(asked, 'prune', context) };
  },
  needs: 'nothing',
  together: true,
  spare: SPARE,
  points: ({ at }) => at,
  extra: ({ self }) => self.asks.length,
  decide:
    ({ alpha, self }) =>
    async ({ tree, growing }) => {
      const chances = await selfEvaluated(tree, growing, self);
      const scores = chances.map((value) => ({ value, parts: {} }));
      return surviving(growing, scores, alpha);
    },
};
