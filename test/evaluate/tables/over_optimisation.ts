/** Best-of-N against one reward model and against ensembles of three: what the proxy says, and what gold says. */

import { pooled } from '../../support/pooled.ts';
import { largest } from '../../../src/strategies/select.ts';
import { estimate, mean, openings, plusMinus } from '../asked.ts';
import type { Asking, Estimate, Question } from '../asked.ts';
import { gold } from '../gold.ts';

const SAMPLES = 32;
const SIZES = [1, 2, 4, 8, 16, 32];
/** Requests at once, of as many trees as there are samples each; and of those that only judge. */
const TREES = 6;
const CROWD = 8;
const MEMBERS = ['a', 'b', 'c'];

const MOODS = ['happy', 'kind'] as const;
type Mood = (typeof MOODS)[number];

/** What ranks the candidates: `alignment` of a /v1/score request. */
const rankers = (mood: Mood) => {
  const rewards = MEMBERS.map((member) => ({ model: `rm-${mood}-${member}` }));
  const joined = (aggregate: string) => ({
    rewards,
    ensemble: { aggregate, normalize: 'stored', lambda: 0.5 },
  });
  return [
    ...MEMBERS.map((member, i) => ({
      name: `one (${member})`,
      alignment: { rewards: [{ ...rewards[i]!, transform: { type: 'zscore', of: 'stored' } }] },
    })),
    ...['mean', 'median', 'min', 'uwo'].map((how) => ({ name: how, alignment: joined(how) })),
  ];
};

/** A sample of a prompt as one ranker sees it, and its gold. */
interface Judged {
  readonly scores: readonly number[];
  readonly gold: readonly number[];
}

export const overOptimisation: Question = {
  title: 'Best-of-N and ensembles',
  head: ['goal', 'chosen by', ...SIZES.map((n) => `N = ${n} (KL <= ${bound(n).toFixed(2)})`)],
  size: MOODS.length * (rankers('happy').length + 1),
  seconds: 400,
  counts: false,
  note: (prompts) =>
    `${prompts} held-out openings, ${SAMPLES} samples each at temperature 1 (\`n\` choices of one request, judged by \`/v1/score\`); ` +
    'each cell is the mean of the proxy (in its own deviations over base samples) / gold of the chosen, averaged over the disjoint groups of N; ' +
    'standard errors over openings. KL bound: log N - (N - 1) / N.',
  async *rows(ask, prompts) {
    const asked = openings(prompts);
    const drawn = await pooled(asked, TREES, (prompt, seed) => samples(ask, prompt, seed));
    for (const mood of MOODS) {
      const golds = drawn.map((texts) => texts.map(gold[mood]));
      const all = rankers(mood);
      // A prompt at a time: ensembles find the scores of their members remembered.
      const scores = await pooled(asked, CROWD, async (prompt, i) => {
        const by: number[][] = [];
        for (const { alignment } of all) by.push(await ask.score(prompt, drawn[i]!, { alignment }));
        return by;
      });
      for (const [r, { name }] of all.entries()) {
        const judged = scores.map((by, i) => ({ scores: by[r]!, gold: golds[i]! }));
        const cells = SIZES.map((n) => picked(judged, n));
        yield [
          mood,
          name,
          ...cells.map(({ proxy, real }) => `${proxy.mean.toFixed(2)} / ${plusMinus(real)}`),
        ];
      }
      const oracle = golds.map((real) => ({ scores: real, gold: real }));
      yield [mood, 'gold itself', ...SIZES.map((n) => plusMinus(picked(oracle, n).real))];
    }
  },
};

async function samples(ask: Asking, prompt: string, seed: number): Promise<string[]> {
  const { choices } = await ask.complete({
    model: 'tales',
    prompt,
    seed,
    n: SAMPLES,
    max_tokens: 160,
  });
  return choices.map(({ text }) => text);
}

/** Each disjoint group of n gives up its best; figures are means over groups, then over prompts. */
function picked(judged: readonly Judged[], n: number): { proxy: Estimate; real: Estimate } {
  const each = judged.map(({ scores, gold: real }) => {
    const winners = Array.from(
      { length: SAMPLES / n },
      (_, g) => g * n + largest(scores.slice(g * n, (g + 1) * n), 1)[0]!,
    );
    return {
      proxy: mean(winners.map((i) => scores[i]!)),
      real: mean(winners.map((i) => real[i]!)),
    };
  });
  return { proxy: estimate(each.map((x) => x.proxy)), real: estimate(each.map((x) => x.real)) };
}

function bound(n: number): number {
  return Math.log(n) - (n - 1) / n;
}
