/** Two goals at once: rewards added as they are, against the sum of their log-sigmoids (Wang et al. 2024). */

import { estimate, mean, openings, plusMinus } from '../asked.ts';
import type { Asking, Table } from '../asked.ts';
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

export async function twoGoals(ask: Asking, prompts: number): Promise<Table> {
  const rows: string[][] = [];
  for (const { name, rewards } of SETTINGS) {
    const given = await ask.answers(
      openings(prompts).map((prompt, seed) => ({
        model: 'tales',
        prompt,
        seed,
        max_tokens: 160,
        alignment: rewards === null ? {} : { strategy: { type: 'best_of_n', n: 16 }, rewards },
      })),
    );
    const both = given.map(({ text }) => Number(gold.happy(text) > GOOD && gold.kind(text) > GOOD));
    rows.push([
      name,
      `${(100 * mean(both)).toFixed(1)} ± ${(100 * estimate(both).error).toFixed(1)} %`,
      plusMinus(estimate(given.map(({ text }) => gold.happy(text)))),
      plusMinus(estimate(given.map(({ text }) => gold.kind(text)))),
      plusMinus(estimate(given.map(({ text }) => Math.min(gold.happy(text), gold.kind(text))))),
    ]);
  }
  return {
    head: [
      'best of 16 by',
      `good in both (gold > ${GOOD})`,
      'gold happy',
      'gold kind',
      'the worse of the two',
    ],
    rows,
    notes: [`${prompts} held-out openings, the same seeds in every row.`],
  };
}
