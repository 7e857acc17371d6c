/**
 * Self-consistency (Wang et al. 2022): n answers are drawn, and what most of them say wins. Votes count one each, or as
 * much as their reward, or as its sigmoid (implicit process rewards), or an answer weighs as much as the best that gives it:
 *   argmax_a sum_i [a_i = a] * {1, R_i, sigmoid(R_i)},  or  argmax_a max_i [a_i = a] R_i.              (1)
 * Texts without an answer do not vote; ties go to the first seen.
 * Goal-conditioned filter: what scores `threshold` or less after `at` tokens is dropped there and does not vote.  (2)
 */

import { answerField, answerIn, type Extract } from '../core/answer.ts';
import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import type { Score } from '../core/reward.ts';
import { inWaves, type Search, type Strategy } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { descending, noScore, numberOr, waves } from './select.ts';
import { tally, WEIGHINGS, winner, type Weighing } from './tally.ts';

export interface Vote {
  readonly n: number;
  readonly by: Weighing;
  readonly answer: Extract;
  readonly filter: { readonly threshold: number; readonly at: number } | null;
  readonly maxTokens: number;
}

async function* search(tree: Tree, { n, by, answer, filter, maxTokens }: Vote): Search {
  tree.park([tree.root]);
  const samples = tree.fork(tree.root, n);
  let voters: Branch[] = [];
  let spare: Candidate[] = []; // of those dropped the best: one answer there must be
  for (const wave of waves(samples, tree.width)) {
    const { kept, dropped } = await filtered(tree, wave, filter); // (2)
    spare = [...spare, ...dropped].toSorted((a, b) => descending(a.value, b.value)).slice(0, 1);
    await tree.extend(kept, { tokens: maxTokens });
    voters = [...voters, ...kept];
    const undrawn = samples.filter(({ tokens }) => tokens.length === 0);
    yield [...voters, ...spare.map(({ branch }) => branch), ...undrawn];
  }
  if (voters.length === 0) {
    voters = spare.map(({ branch }) => branch);
    await tree.extend(voters, { tokens: maxTokens });
  }
  const scores = by === 'majority' ? null : await tree.score(voters);
  return elected(voters, scores, by, answer); // (1)
}

interface Candidate {
  readonly branch: Branch;
  readonly value: number;
}

/** Draws a wave as far as the filter looks. What it drops holds no KV from there on. */
async function filtered(
  tree: Tree,
  wave: readonly Branch[],
  filter: Vote['filter'],
): Promise<{ kept: readonly Branch[]; dropped: readonly Candidate[] }> {
  if (filter === null) return { kept: wave, dropped: [] };
  await tree.extend(wave, { tokens: filter.at });
  const scores = await tree.score(wave);
  const all = wave.map((branch, i) => ({ branch, value: numberOr(scores[i]!.value, -Infinity) }));
  const dropped = all.filter(({ value }) => value <= filter.threshold);
  tree.park(dropped.map(({ branch }) => branch));
  return { kept: all.filter((one) => !dropped.includes(one)).map(({ branch }) => branch), dropped };
}

/** The voters of the winning answer first, the best of them ahead where there are scores; with no answer at all, as drawn. */
function elected(
  voters: readonly Branch[],
  scores: readonly Score[] | null,
  by: Weighing,
  how: Extract,
): readonly Branch[] {
  if (scores?.every(({ value }) => Number.isNaN(value))) throw noScore();
  const answers = voters.map(({ text }) => answerIn(text, how));
  const values = voters.map((_, i) => numberOr(scores?.[i]!.value ?? 0, -Infinity));
  const first = winner(tally(answers, by === 'majority' ? null : values, by));
  const rank = [...voters.keys()].toSorted(
    (a, b) =>
      Number(answers[b] === first) - Number(answers[a] === first) ||
      descending(values[a]!, values[b]!),
  );
  return rank.map((i) => voters[i]!);
}

const fields = strict({
  n: either(integer(1, 256), 16),
  by: either(oneOf(WEIGHINGS), 'majority'),
  answer: either(answerField, { extract: 'last_number' }),
  filter: strict({ threshold: number(-1e6, 1e6), at: integer(1, 1_000_000) }).nullish(),
});

export const vote: Strategy<Vote> = {
  fields,
  parse(raw, { maxTokens }) {
    const { filter, ...rest } = read(fields, raw);
    return { ...rest, filter: filter ?? null, maxTokens };
  },
  needs: ({ by, filter }) => (filter ? 'prefix' : by === 'majority' ? 'nothing' : 'complete'),
  absolute: ({ filter }) => filter !== null,
  peak: ({ n }) => inWaves(n),
  search,
};
