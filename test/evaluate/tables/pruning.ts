/** Early pruning and adaptive N at N = 16: tokens generated against reward and gold kept, paired on the same seeds. */

import { mulberry } from '../../support/mulberry.ts';
import { estimate, mean, plusMinus, ratioInterval, stories } from '../asked.ts';
import type { Body, Given, Question } from '../asked.ts';
import { gold } from '../gold.ts';

const N = 16;
const MOODS = ['happy', 'kind'] as const;
type Mood = (typeof MOODS)[number];

type Setting = readonly [name: string, fields: Body];

const rejection = (alpha: number, ...at: number[]): Body => ({
  prune: { type: 'speculative_rejection', alpha, at },
});

/** What pruned rows are compared with. */
const NOTHING: Setting = ['nothing', {}];
/** Fields of best_of_n beside n, for the mean of three reward models. */
const ENSEMBLE: readonly Setting[] = [
  NOTHING,
  ['speculative rejection, half at 64', rejection(0.5, 64)],
  ['speculative rejection, 3/4 at 64', rejection(0.75, 64)],
  ['speculative rejection, half at 32 and 64', rejection(0.5, 32, 64)],
  ['speculative rejection, 3/4 at 32', rejection(0.75, 32)],
  ['speculative rejection, a third at 32, 48, 64 and 80', rejection(0.33, 32, 48, 64, 80)],
  ['value below 0 after 48', { prune: { type: 'value', threshold: 0, min_tokens: 48 } }],
  ['adaptive, cost 0.1', { adaptive: { cost: 0.1 } }],
  ['adaptive, cost 0.2', { adaptive: { cost: 0.2, min: 2 } }],
  ['adaptive, until 0.8', { adaptive: { threshold: 0.8 } }],
];
/** By the policy's own opinion, of which only mood was measured. */
const SELF: readonly Setting[] = [
  ['self-evaluation, half at 64', { prune: { type: 'self_evaluation', at: [64] } }],
  ['adaptive, self-evaluation 0.9', { adaptive: { self_evaluation: { probability: 0.9 } } }],
];
/** For one of them, whose manifest says how far it can be trusted early. */
const ALONE: readonly Setting[] = [
  NOTHING,
  ['calibrated, loss 0.02', { prune: { type: 'calibrated' } }],
  ['calibrated, loss 0.1', { prune: { type: 'calibrated', loss: 0.1 } }],
];

const model = (mood: string, member: string): Body => ({ model: `rm-${mood}-${member}` });
const JUDGES = [
  {
    settingsOf: (mood: Mood) => (mood === 'happy' ? [...ENSEMBLE, ...SELF] : ENSEMBLE),
    by: (mood: string) => `${mood}, three`,
    judging: (mood: string): Body => ({
      rewards: ['a', 'b', 'c'].map((member) => model(mood, member)),
      ensemble: { aggregate: 'mean' },
    }),
  },
  {
    settingsOf: () => ALONE,
    by: (mood: string) => `${mood}, a alone`,
    judging: (mood: string): Body => ({ rewards: [model(mood, 'a')] }),
  },
];

export const pruning: Question = {
  title: 'Pruning and adaptive N',
  head: [
    'goal, judged by',
    'pruned by',
    'answers begun',
    'tokens of candidates',
    'saved',
    'reward gain kept (95 % interval)',
    'gold',
  ],
  size: MOODS.length * (ENSEMBLE.length + ALONE.length) + SELF.length,
  seconds: 1000,
  counts: false,
  note: (prompts) =>
    `${prompts} held-out openings, best of ${N}, the same seeds in every row. ` +
    "Reward gain: the chosen answer's reward less the mean reward of the 16 unpruned candidates; kept: its mean over that of the unpruned rows, " +
    'interval by resampling openings. Tokens are means per request.',
  async *rows(ask, prompts) {
    for (const mood of MOODS)
      for (const { settingsOf, by, judging } of JUDGES) {
        let full: readonly Given[] | null = null;
        for (const [name, fields] of settingsOf(mood)) {
          const strategy = { type: 'best_of_n', n: N, ...fields };
          const given = await ask.answers(stories(prompts, { strategy, ...judging(mood) }));
          full ??= given;
          yield [by(mood), name, ...cells(given, full, mood)];
        }
      }
  },
};

function cells(given: readonly Given[], full: readonly Given[], mood: Mood): string[] {
  const base = full.map(({ candidates }) => mean(candidates.map(({ score }) => score ?? 0)));
  const gains = (of: readonly Given[]): number[] => of.map((one, i) => chosen(one) - base[i]!);
  const { ratio, low, high } = ratioInterval(gains(given), gains(full), mulberry(1));
  const of = (pick: (one: Given) => number): number => mean(given.map(pick));
  const tokens = of(({ policyTokens }) => policyTokens);
  const share = 1 - tokens / mean(full.map(({ policyTokens }) => policyTokens));
  const percent = (x: number): string => (100 * x).toFixed(1);
  return [
    of(({ candidates }) => candidates.length).toFixed(1),
    tokens.toFixed(0),
    `${percent(share)} %`,
    `${percent(ratio)} % (${percent(low)} to ${percent(high)})`,
    plusMinus(estimate(given.map(({ text }) => gold[mood](text)))),
  ];
}

const chosen = ({ candidates }: Given): number =>
  candidates.find(({ status }) => status === 'selected')?.score ?? NaN;
