/** GenARM beside best-of-N, ARGS, segment rejection and particles: gold and KL against the tokens that all models read or draw. */

import { estimate, mean, plusMinus, stories } from '../asked.ts';
import type { Body, Given, Question } from '../asked.ts';
import { gold } from '../gold.ts';

const rewards = [{ model: 'rm-happy-a' }];
const arm = (weight: number): Body => ({ guides: [{ model: 'arm-happy', weight }] });
const by = (type: string, fields: Body = {}): Body => ({ strategy: { type, ...fields }, rewards });

const SETTINGS: readonly (readonly [name: string, alignment: Body])[] = [
  ['one sample', {}],
  ['GenARM 0.5', arm(0.5)],
  ['GenARM 1', arm(1)],
  ['best of 2', by('best_of_n', { n: 2 })],
  ['best of 4', by('best_of_n', { n: 4 })],
  ['best of 8', by('best_of_n', { n: 8 })],
  ['GenARM 0.5, best of 2', { ...arm(0.5), ...by('best_of_n', { n: 2 }) }],
  [
    'segment beam 2 x 2, 30 tokens',
    by('segment_beam', { width: 2, expand: 2, segment: { tokens: 30 } }),
  ],
  ['segment rejection (CARDS)', by('segment_rejection')],
  ['ARGS, k = 4, weight 1', by('args', { top_k: 4, weight: 1 })],
  ['particles, 4, lambda 4', by('particles', { n: 4, lambda: 4 })],
  ['particles, 8, lambda 4', by('particles', { n: 8, lambda: 4 })],
  [
    'GenARM 0.5 with log Z, 4 particles',
    { ...arm(0.5), strategy: { type: 'particles', n: 4, lambda: 0 } },
  ],
];

export const guidanceAndSearch: Question = {
  title: 'Guidance and search',
  head: [
    'by',
    'gold happy',
    'KL, nats an answer',
    'policy tokens',
    'guide tokens',
    'reward tokens',
    'all',
  ],
  size: SETTINGS.length,
  seconds: 200,
  counts: true,
  note: (prompts) =>
    `${prompts} held-out openings, one answer each, temperature 1, at most 160 tokens; the same seeds in every row. ` +
    "Tokens are means per request, each model's reading of the prompt included (rewards read it with every text that they judge, though they keep what they can of it); " +
    'read rows of like totals against each other. A reward model has 0.6 of the parameters of the policy, a guide as many. ' +
    'KL: log pi - log p of the answer under the token-level law it was drawn from, so it is 0 where only the choice among samples is bent: ' +
    'for best-of-N the bound log N - (N - 1) / N is 0.19, 0.64 and 1.20 nats at 2, 4 and 8.',
  async *rows(ask, prompts) {
    for (const [name, alignment] of SETTINGS) {
      const given = await ask.answers(stories(prompts, alignment));
      const of = (pick: (one: Given) => number): number => mean(given.map(pick));
      const read = [
        of(({ policyTokens, promptTokens }) => policyTokens + promptTokens),
        of(({ guideTokens }) => guideTokens),
        of(({ rewardTokens }) => rewardTokens),
      ];
      const all = read.reduce((sum, tokens) => sum + tokens, 0);
      yield [
        name,
        plusMinus(estimate(given.map(({ text }) => gold.happy(text)))),
        of(({ kl }) => kl).toFixed(2),
        ...[...read, all].map((tokens) => tokens.toFixed(0)),
      ];
    }
  },
};
