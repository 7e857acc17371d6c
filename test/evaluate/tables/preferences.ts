/** What users wish for between two goals, from one policy: weights of two guides, or of two rewards, per request. */

import { mulberry } from '../../support/mulberry.ts';
import { estimate, mean, plusMinus, stories } from '../asked.ts';
import type { Body, Estimate, Question } from '../asked.ts';
import { gold } from '../gold.ts';
import { hypervolume, meanInnerProduct } from '../preference.ts';

/** Weights of happy and kind. */
const WISHES = [0, 0.25, 0.5, 0.75, 1].map((happy) => [happy, 1 - happy] as const);
type Wish = (typeof WISHES)[number];
/** Gold happy and kind of an answer. */
type Golds = readonly [number, number];

const zscored = (model: string, weight: number): Body => ({
  model,
  weight,
  transform: { type: 'zscore', of: 'stored' },
});

const WAYS: readonly (readonly [name: string, alignment: (wish: Wish) => Body])[] = [
  ['one sample, whatever is wished for', () => ({})],
  [
    'two guides of these weights',
    ([happy, kind]) => ({
      guides: [
        { model: 'arm-happy', weight: happy },
        { model: 'arm-kind', weight: kind },
      ],
    }),
  ],
  [
    'best of 4 by two rewards of these weights',
    ([happy, kind]) => ({
      strategy: { type: 'best_of_n', n: 4 },
      rewards: [zscored('rm-happy-a', happy), zscored('rm-kind-a', kind)],
    }),
  ],
];

/** The lowest that gold can say of an answer, in both goals. */
const WORST: Golds = [-1, -1];

export const preferences: Question = {
  title: 'What users wish for',
  head: [
    'answers by',
    ...WISHES.map((wish) => `gold at ${wish.join(' / ')}`),
    'mean inner product',
    'hypervolume',
  ],
  size: WAYS.length,
  seconds: 200,
  counts: false,
  note: (prompts) =>
    `${prompts} held-out openings, the same seeds in every cell; gold happy / kind at wishes of happy / kind. ` +
    'Mean inner product of wishes and golds, over the five wishes; hypervolume of the five mean golds from (-1, -1) on, 4 at most, its error by resampling openings.',
  async *rows(ask, prompts) {
    for (const [name, alignment] of WAYS) {
      const golds: Golds[][] = [];
      for (const wish of WISHES) {
        const given = await ask.answers(stories(prompts, alignment(wish)));
        golds.push(given.map(({ text }) => [gold.happy(text), gold.kind(text)]));
      }
      const means = golds.map(meanOf);
      const products = golds[0]!.map((_, i) =>
        meanInnerProduct(
          WISHES,
          golds.map((of) => of[i]!),
        ),
      );
      yield [
        name,
        ...means.map((point) => point.map((x) => x.toFixed(2)).join(' / ')),
        plusMinus(estimate(products)),
        plusMinus(volumeOf(golds)),
      ];
    }
  },
};

const meanOf = (golds: readonly Golds[]): Golds => [
  mean(golds.map(([happy]) => happy)),
  mean(golds.map(([, kind]) => kind)),
];

const RESAMPLED = 400;

/** Of the mean golds; its error is the deviation over openings drawn anew. */
function volumeOf(golds: readonly (readonly Golds[])[]): Estimate {
  const volume = (of: (answers: readonly Golds[]) => readonly Golds[]): number =>
    hypervolume(
      golds.map((answers) => meanOf(of(answers))),
      WORST,
    );
  const random = mulberry(1);
  const volumes = Array.from({ length: RESAMPLED }, () => {
    const picks = golds[0]!.map(() => Math.floor(random() * golds[0]!.length));
    return volume((answers) => picks.map((at) => answers[at]!));
  });
  const middle = mean(volumes);
  const error = Math.sqrt(mean(volumes.map((v) => (v - middle) ** 2)));
  return { mean: volume((answers) => answers), error };
}
