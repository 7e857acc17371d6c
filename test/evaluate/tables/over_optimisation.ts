/** Best-of-N against one reward model and against ensembles of three: what the proxy says, and what gold says. */

import { pooled } from '../../support/pooled.ts';
import { largest } from '../../../src/strategies/select.ts';
import { estimate, mean, openings, plusMinus } from '../asked.ts';
import type { Asking, Estimate, Table } from '../asked.ts';
import { gold } from '../gold.ts';

const SAMPLES = 32;
const SIZES = [1, 2, 4, 8, 16, 32];
/** Requests at once, of as many trees as there are samples each. */
const TREES = 3;
const MEMBERS = ['a', 'b', 'c'];

type Mood = 'happy' | 'kind';

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

export async function overOptimisation(ask: Asking, prompts: number): Promise<Table> {
  const rows: string[][] = [];
  const asked = openings(prompts);
  const drawn = await pooled(asked, TREES, (prompt, seed) => samples(ask, prompt, seed));
  for (const mood of ['happy', 'kind'] as const) {
    for (const { name, alignment } of rankers(mood)) {
      const judged = await pooled(asked, TREES, async (prompt, i) => ({
        scores: await ask.score(prompt, drawn[i]!, { alignment }),
        gold: drawn[i]!.map(gold[mood]),
      }));
      const cells = SIZES.map((n) => picked(judged, n));
      rows.push([
        mood,
        name,
        ...cells.map(({ proxy, real }) => `${proxy.mean.toFixed(2)} / ${plusMinus(real)}`),
      ]);
    }
    const oracle = drawn.map((texts) => texts.map(gold[mood]));
    const best = SIZES.map((n) =>
      picked(
        oracle.map((real) => ({ scores: real, gold: real })),
        n,
      ),
    );
    rows.push([mood, 'gold itself', ...best.map(({ real }) => plusMinus(real))]);
  }
  return {
    head: ['goal', 'chosen by', ...SIZES.map((n) => `N = ${n} (KL <= ${bound(n).toFixed(2)})`)],
    rows,
    notes: [
      `${prompts} held-out openings, ${SAMPLES} samples each at temperature 1 (\`n\` choices of one request, judged by \`/v1/score\`); ` +
        'each cell is the mean of the proxy (in its own deviations over base samples) / gold of the chosen, averaged over the disjoint groups of N; ' +
        'standard errors over openings. KL bound: log N - (N - 1) / N.',
    ],
  };
}

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
function picked(
  judged: readonly { readonly scores: readonly number[]; readonly gold: readonly number[] }[],
  n: number,
): { proxy: Estimate; real: Estimate } {
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

const bound = (n: number): number => Math.log(n) - (n - 1) / n;
