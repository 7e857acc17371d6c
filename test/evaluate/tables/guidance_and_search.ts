/** GenARM beside best-of-N, ARGS, segment rejection and particles: gold and KL against the tokens that all models read or draw. */

import { estimate, mean, openings, plusMinus } from '../asked.ts';
import type { Asking, Body, Table } from '../asked.ts';
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

export async function guidanceAndSearch(ask: Asking, prompts: number): Promise<Table> {
  const rows: string[][] = [];
  for (const [name, alignment] of SETTINGS) {
    const given = await ask.answers(
      openings(prompts).map((prompt, seed) => ({
        model: 'tales',
        prompt,
        seed,
        max_tokens: 160,
        alignment,
      })),
    );
    const of = (pick: (one: (typeof given)[number]) => number): number => mean(given.map(pick));
    const [policy, guides, judged] = [
      of((g) => g.policyTokens),
      of((g) => g.guideTokens),
      of((g) => g.rewardTokens),
    ];
    rows.push([
      name,
      plusMinus(estimate(given.map(({ text }) => gold.happy(text)))),
      of((g) => g.kl).toFixed(2),
      policy.toFixed(0),
      guides.toFixed(0),
      judged.toFixed(0),
      (policy + guides + judged).toFixed(0),
    ]);
  }
  return {
    head: [
      'by',
      'gold happy',
      'KL, nats an answer',
      'policy tokens',
      'guide tokens',
      'reward tokens',
      'all',
    ],
    rows,
    notes: [
      `${prompts} held-out openings, one answer each, temperature 1, at most 160 tokens; the same seeds in every row. ` +
        'Tokens are means per request, prompts of guides and rewards included; read rows of like totals against each other. ' +
        'KL: log pi - log p of the answer under the token-level law it was drawn from, so it is 0 where only the choice among samples is bent: ' +
        'for best-of-N the bound log N - (N - 1) / N is 0.19, 0.64 and 1.20 nats at 2, 4 and 8.',
    ],
  };
}
