/** Arithmetic in steps: greedy, sampling, votes, best-of-N and search with value heads, on problems that nothing was chosen on. */

import { arithProblems, isRight } from '../../support/arith.ts';
import { estimate, mean, plusMinus } from '../asked.ts';
import type { Body, Given, Question } from '../asked.ts';

const value = [{ model: 'arith-value' }];
const outcome = [{ model: 'arith-outcome' }];
const likelihood = [{ likelihood: 'arith', aggregate: 'sum' }];
const step = { until: ['\n'], max_tokens: 24 };

const by = (type: string, fields: Body = {}, rewards: readonly Body[] | null = null): Body => ({
  alignment: { strategy: { type, ...fields }, ...(rewards ? { rewards } : {}) },
});

/** What all others are compared with. */
const VOTE = by('vote', { n: 16 });

const SETTINGS: readonly (readonly [name: string, fields: Body])[] = [
  ['greedy', { temperature: 0 }],
  ['one sample', {}],
  ['majority of 4', by('vote', { n: 4 })],
  ['majority of 8', by('vote', { n: 8 })],
  ['majority of 16', VOTE],
  ['best of 16 by log-likelihood', by('best_of_n', { n: 16 }, likelihood)],
  ['best of 16 by the outcome head', by('best_of_n', { n: 16 }, outcome)],
  ['best of 16 by the value head', by('best_of_n', { n: 16 }, value)],
  [
    'best of 16 by value and log-likelihood',
    by('best_of_n', { n: 16 }, [
      { ...value[0], transform: { type: 'zscore' } },
      { ...likelihood[0], transform: { type: 'zscore' } },
    ]),
  ],
  ['vote of 16 weighted by value', by('vote', { n: 16, by: 'weighted' }, value)],
  ['step beam 2 x 4 by value', by('segment_beam', { width: 2, expand: 4, segment: step }, value)],
  ['step beam 4 x 4 by value', by('segment_beam', { width: 4, expand: 4, segment: step }, value)],
  [
    'step beam 4 x 4 by outcome',
    by('segment_beam', { width: 4, expand: 4, segment: step }, outcome),
  ],
  [
    'step beam 4 x 4 by log-likelihood',
    by('segment_beam', { width: 4, expand: 4, segment: step }, likelihood),
  ],
  ['likelihood beam, width 4', { temperature: 0, ...by('beam', { width: 4 }) }],
  ['particles, 16, lambda 4, by value', by('particles', { n: 16, lambda: 4, every: 12 }, value)],
  ['mcts by value, to 0.99', by('mcts', { segment: step, iterations: 20, end_gate: 0.99 }, value)],
  ['mcts by value, no gate', by('mcts', { segment: step, iterations: 60, end_gate: 1 }, value)],
];

/** Problems before these serve a test, those after 460 were asked once. */
const FIRST = 24;
const LAST = 460;

export const arithmetic: Question = {
  title: 'Arithmetic',
  head: ['by', 'right, %', 'less majority of 16, paired', 'policy tokens', 'reward tokens'],
  size: SETTINGS.length,
  seconds: 280,
  counts: true,
  note: (prompts) =>
    `${Math.min(prompts, LAST - FIRST)} problems of 4 to 5 steps that nothing was asked before (test/data/arith_problems.jsonl, numbers ${FIRST + 1} on); ` +
    'temperature 1 unless greedy; standard errors over problems; tokens are means per problem: those drawn, and those that rewards read.',
  async *rows(ask, prompts) {
    const problems = arithProblems().slice(FIRST, Math.min(FIRST + prompts, LAST));
    const rightOf = (given: readonly Given[]): number[] =>
      given.map(({ text }, i) => Number(isRight(problems[i]!, text)));
    const bodies = (fields: Body): Body[] =>
      problems.map(({ prompt }, seed) => ({
        model: 'arith',
        prompt,
        seed,
        max_tokens: 110,
        ...fields,
      }));
    const voted = rightOf(await ask.answers(bodies(VOTE)));
    for (const [name, fields] of SETTINGS) {
      const given = await ask.answers(bodies(fields));
      const right = rightOf(given);
      const gains = right.map((x, i) => 100 * (x - voted[i]!));
      yield [
        name,
        plusMinus(estimate(right.map((x) => 100 * x)), 1),
        fields === VOTE ? '' : plusMinus(estimate(gains), 1),
        mean(given.map(({ policyTokens }) => policyTokens)).toFixed(0),
        mean(given.map(({ rewardTokens }) => rewardTokens)).toFixed(0),
      ];
    }
  },
};
