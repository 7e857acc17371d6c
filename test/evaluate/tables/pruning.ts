/** Early pruning and adaptive N at N = 16: tokens generated against reward and gold kept, paired on the same seeds. */

import { mulberry } from '../../support/mulberry.ts';
import { estimate, mean, openings, plusMinus, ratioInterval } from '../asked.ts';
import type { Asking, Body, Given, Table } from '../asked.ts';
import { gold } from '../gold.ts';

const N = 16;
const rejection = (alpha: number, ...at: number[]): Body => ({
  prune: { type: 'speculative_rejection', alpha, at },
});

/** Fields of best_of_n beside n. */
const SETTINGS: readonly (readonly [name: string, fields: Body])[] = [
  ['nothing', {}],
  ['speculative rejection, half at 64', rejection(0.5, 64)],
  ['speculative rejection, 3/4 at 64', rejection(0.75, 64)],
  ['speculative rejection, half at 32 and 64', rejection(0.5, 32, 64)],
  ['speculative rejection, a third at 32, 48, 64 and 80', rejection(0.33, 32, 48, 64, 80)],
  ['speculative rejection, half at 16, 32 and 64', rejection(0.5, 16, 32, 64)],
  ['value below 0 after 48', { prune: { type: 'value', threshold: 0, min_tokens: 48 } }],
  ['adaptive, cost 0.1', { adaptive: { cost: 0.1 } }],
  ['adaptive, cost 0.2', { adaptive: { cost: 0.2, min: 2 } }],
];

export async function pruning(ask: Asking, prompts: number): Promise<Table> {
  const rows: string[][] = [];
  for (const mood of ['happy', 'kind'] as const) {
    const rewards = ['a', 'b', 'c'].map((member) => ({ model: `rm-${mood}-${member}` }));
    const asked = (strategy: Body): Body[] =>
      openings(prompts).map((prompt, seed) => ({
        model: 'tales',
        prompt,
        seed,
        max_tokens: 160,
        alignment: { strategy, rewards, ensemble: { aggregate: 'mean' } },
      }));
    let full: readonly Given[] | null = null;
    for (const [name, fields] of SETTINGS) {
      const given = await ask.answers(asked({ type: 'best_of_n', n: N, ...fields }));
      full ??= given;
      rows.push([mood, name, ...cells(given, full, mood)]);
    }
  }
  return {
    head: [
      'goal',
      'pruned by',
      'tokens of candidates',
      'saved',
      'reward gain kept (95 % interval)',
      'gold',
    ],
    rows,
    notes: [
      `${prompts} held-out openings, best of ${N} by the mean of three reward models, the same seeds in every row. ` +
        "Reward gain: the chosen answer's reward less the mean reward of the 16 unpruned candidates; kept: its mean over that of the unpruned rows, " +
        'interval by resampling openings.',
    ],
  };
}

function cells(given: readonly Given[], full: readonly Given[], mood: 'happy' | 'kind'): string[] {
  const base = full.map(({ candidates }) => mean(candidates.map(({ score }) => score ?? 0)));
  const gains = (of: readonly Given[]): number[] => of.map((one, i) => chosen(one) - base[i]!);
  const { ratio, low, high } = ratioInterval(gains(given), gains(full), mulberry(1));
  const tokens = mean(given.map(({ policyTokens }) => policyTokens));
  const share = 1 - tokens / mean(full.map(({ policyTokens }) => policyTokens));
  const percent = (x: number): string => (100 * x).toFixed(1);
  return [
    tokens.toFixed(0),
    `${percent(share)} %`,
    `${percent(ratio)} % (${percent(low)} to ${percent(high)})`,
    plusMinus(estimate(given.map(({ text }) => gold[mood](text)))),
  ];
}

const chosen = ({ candidates }: Given): number =>
  candidates.find(({ status }) => status === 'selected')?.score ?? NaN;
