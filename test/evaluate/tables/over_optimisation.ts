/** Best-of-N against one reward model and against ensembles of three: what the proxy says, and what gold says. */

import { pooled } from '../../support/pooled.ts';
import { largest } from '../../../src/strategies/select.ts';
import { estimate, mean, openings, plusMinus } from '../asked.ts';
import type { Asking, Body, Question } from '../asked.ts';
import { gold } from '../gold.ts';

/** Of an ensemble, of which each was trained apart. */
export const MEMBERS = ['a', 'b', 'c'] as const;

/** Samples of one request, and requests at once: of as many trees each; and of those that only judge. */
const CHOICES = 32;
const TREES = 6;
const CROWD = 4;

type Mood = 'happy' | 'kind';

export interface BestOfN {
  readonly title: string;
  readonly moods: readonly Mood[];
  /** Of each prompt; a power of two. */
  readonly samples: number;
  readonly nameOf: (mood: Mood, member: string) => string;
  /** What scores are measured by: the manifests' figures, or those of the prompt's own samples. */
  readonly normalize: 'stored' | 'pool';
  readonly seconds: number;
}

/** What chooses among the candidates: `alignment` of a /v1/score request. */
function rankers({ nameOf, normalize }: BestOfN, mood: Mood) {
  const rewards = MEMBERS.map((member) => ({ model: nameOf(mood, member) }));
  const joined = (aggregate: string, of: readonly Body[] = rewards): Body => ({
    rewards: of,
    ensemble: { aggregate, normalize, lambda: 0.5 },
  });
  return [
    ...MEMBERS.map((member, i) => ({
      name: `one (${member})`,
      single: true,
      alignment: joined('mean', [rewards[i]!]),
    })),
    ...['mean', 'median', 'min', 'uwo'].map((how) => ({
      name: how,
      single: false,
      alignment: joined(how),
    })),
  ];
}

export function bestOfN(settings: BestOfN): Question {
  const { title, moods, samples, normalize, seconds } = settings;
  const sizes = Array.from({ length: Math.log2(samples) + 1 }, (_, i) => 2 ** i);
  const [most, quarter] = [sizes.at(-1)!, sizes.at(-3) ?? 1];
  return {
    title,
    head: [
      'goal',
      'chosen by',
      ...sizes.map((n) => `N = ${n} (KL <= ${bound(n).toFixed(2)})`),
      `gold, N = ${most} less N = ${quarter}`,
      `gold at N = ${most} less that of single models`,
    ],
    size: moods.length * (rankers(settings, moods[0]!).length + 1),
    seconds,
    counts: false,
    note: (prompts) =>
      `${prompts} held-out openings, ${samples} samples each at temperature 1 (\`n\` choices of a request, judged by \`/v1/score\`); ` +
      `each cell is the mean of the proxy (in deviations of ${normalize === 'stored' ? 'base samples' : "the prompt's own samples"}) / gold of the chosen, averaged over the disjoint groups of N; ` +
      'the last two columns are paired by opening; standard errors over openings. KL bound: log N - (N - 1) / N.',
    async *rows(ask, prompts) {
      const asked = openings(prompts);
      const drawn = await pooled(asked, TREES, (prompt, i) => sampled(ask, prompt, i, samples));
      for (const mood of moods) {
        const golds = drawn.map((texts) => texts.map(gold[mood]));
        const all = rankers(settings, mood);
        // A prompt at a time: ensembles find the scores of their members remembered.
        const scores = await pooled(asked, CROWD, async (prompt, i) => {
          const by: number[][] = [];
          for (const { alignment } of all)
            by.push(await ask.score(prompt, drawn[i]!, { alignment }));
          return by;
        });
        const chosen = all.map((_, r) =>
          sizes.map((n) =>
            picked(
              scores.map((by) => by[r]!),
              golds,
              n,
            ),
          ),
        );
        const singles = all.flatMap(({ single }, r) => (single ? [chosen[r]!.at(-1)!.gold] : []));
        const single = asked.map((_, i) => mean(singles.map((of) => of[i]!)));
        for (const [r, { name, single: alone }] of all.entries()) {
          const last = chosen[r]!.at(-1)!.gold;
          yield [
            mood,
            name,
            ...chosen[r]!.map(
              (of) => `${mean(of.proxy).toFixed(2)} / ${plusMinus(estimate(of.gold))}`,
            ),
            plusMinus(estimate(less(last, chosen[r]!.at(-3)?.gold ?? last)), 3),
            alone ? '' : plusMinus(estimate(less(last, single)), 3),
          ];
        }
        const oracle = sizes.map((n) => plusMinus(estimate(picked(golds, golds, n).gold)));
        yield [mood, 'gold itself', ...oracle, '', ''];
      }
    },
  };
}

export const overOptimisation = bestOfN({
  title: 'Best-of-N and ensembles',
  moods: ['happy', 'kind'],
  samples: 32,
  nameOf: (mood, member) => `rm-${mood}-${member}`,
  normalize: 'stored',
  seconds: 240,
});

/** Texts of one prompt, of as many requests as it takes. */
async function sampled(
  ask: Asking,
  prompt: string,
  index: number,
  samples: number,
): Promise<string[]> {
  const n = Math.min(samples, CHOICES);
  const texts: string[] = [];
  // One after another: each holds as many places in the server's queue as it has choices.
  for (let part = 0; part < samples / n; part++) {
    const seed = (index * samples) / n + part;
    const { choices } = await ask.complete({ model: 'tales', prompt, seed, n, max_tokens: 160 });
    texts.push(...choices.map(({ text }) => text));
  }
  return texts;
}

/** Each disjoint group of n gives up its best: means over a prompt's groups, by prompt. */
function picked(
  scores: readonly (readonly number[])[],
  golds: readonly (readonly number[])[],
  n: number,
): { readonly proxy: number[]; readonly gold: number[] } {
  const winners = scores.map((of) =>
    Array.from(
      { length: of.length / n },
      (_, g) => g * n + largest(of.slice(g * n, (g + 1) * n), 1)[0]!,
    ),
  );
  const means = (values: readonly (readonly number[])[]): number[] =>
    winners.map((at, i) => mean(at.map((one) => values[i]![one]!)));
  return { proxy: means(scores), gold: means(golds) };
}

const less = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x - b[i]!);

function bound(n: number): number {
  return Math.log(n) - (n - 1) / n;
}
