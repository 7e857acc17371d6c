/** Two goals at once: rewards added as they are, against the sum of their log-sigmoids (Wang et al. 2024). */

import { estimate, plusMinus, stories } from '../asked.ts';
import type { Question } from '../asked.ts';
import { gold } from '../gold.ts';

const MODELS = ['rm-happy-a', 'rm-kind-a'];
const GOOD = 0.5;

const SETTINGS = [
  { name: 'one sample', rewards: null },
  { name: 'plain sum', rewards: MODELS.map((model) => ({ model })) },
  {
    name: 'sum of z-scores',
    rewards: MODELS.map((model) => ({ model, transform: { type: 'zscore', of: 'stored' } })),
  },
  {
    name: 'log-sigmoid, stored 85 % quantile',
    rewards: MODELS.map((model) => ({
      model,
      transform: { type: 'log_sigmoid', reference: { quantile: 0.85, of: 'stored' } },
    })),
  },
  {
    name: "log-sigmoid, prompt's own 85 % quantile",
    rewards: MODELS.map((model) => ({
      model,
      transform: { type: 'log_sigmoid', reference: { quantile: 0.85 } },
    })),
  },
];

export const twoGoals: Question = {
  title: 'Two goals at once',
  head: [
    'best of 16 by',
    `good in both (gold > ${GOOD})`,
    'gold happy',
    'gold kind',
    'the worse of the two',
  ],
  size: SETTINGS.length,
  seconds: 190,
  counts: false,
  note: (prompts) => `${prompts} held-out openings, the same seeds in every row.`,
  async *rows(ask, prompts) {
    for (const { name, rewards } of SETTINGS) {
      const alignment = rewards ? { strategy: { type: 'best_of_n', n: 16 }, rewards } : {};
      const given = await ask.answers(stories(prompts, alignment));
      const golds = given.map(({ text }) => [gold.happy(text), gold.kind(text)] as const);
      const both = golds.map((pair) => 100 * Number(Math.min(...pair) > GOOD));
      yield [
        name,
        `${plusMinus(estimate(both), 1)} %`,
        plusMinus(estimate(golds.map(([happy]) => happy))),
        plusMinus(estimate(golds.map(([, kind]) => kind))),
        plusMinus(estimate(golds.map((pair) => Math.min(...pair)))),
      ];
    }
  },
};
