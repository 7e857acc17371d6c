/**
 * Self-consistency (Wang et al. 2022): n answers are drawn, and what most of them say wins. Votes count one each, or as
 * much as their reward, or as its sigmoid (implicit process rewards), or an answer weighs as much as the best that gives it.
 * Texts without an answer do not vote; ties go to the first seen.
 * Goal-conditioned filter: what scores `threshold` or less after `at` tokens is dropped there and does not vote.
 */

import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import { sigmoid } from '../core/math.ts';
import type { Score } from '../core/reward.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { answerField, answerIn, type Extract } from '../core/answer.ts';
import { descending, noScore, numberOr } from './select.ts';

export interface Vote {
  readonly n: number;
  readonly by: 'majority' | 'weighted' | 'sigmoid' | 'best';
  readonly answer: Extract;
  readonly filter: { readonly threshold: number; readonly at: number } | null;
  readonly maxTokens: number;
}

const fields = strict({
  n: either(integer(1, 256), 16),
  by: either(oneOf(['majority', 'weighted', 'sigmoid', 'best']), 'majority'),
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
  peak: ({ n }) => ({ least: Math.ceil(n / 4), most: n }),

  async *search(tree, { n, by, answer, filter, maxTokens }) {
    tree.park([tree.root]);
    const samples = tree.fork(tree.root, n);
    let voters: Branch[] = [];
    let spare: Candidate | null = null; // of those dropped the best: one answer there must be
    for (let i = 0; i < n; i += tree.width) {
      const wave = samples.slice(i, i + tree.width);
      const { kept, dropped } = await filtered(tree, wave, filter);
      spare = dropped.reduce<Candidate | null>(
        (most, one) => (most && most.value >= one.value ? most : one),
        spare,
      );
      await tree.extend(kept, { tokens: maxTokens });
      voters = [...voters, ...kept];
      yield [...voters, ...(spare ? [spare.branch] : []), ...samples.slice(i + tree.width)];
    }
    if (voters.length === 0) {
      if (spare === null || spare.value === -Infinity) throw noScore();
      voters = [spare.branch];
      await tree.extend(voters, { tokens: maxTokens });
    }
    const scores = by === 'majority' ? null : await tree.score(voters);
    return elected(voters, scores, by, answer);
  },
};

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
  by: Vote['by'],
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

/**
 * Weight of each answer, in the order they were first seen.
 * @param values by sample; null: each counts one
 */
export function tally(
  answers: readonly (string | null)[],
  values: readonly number[] | null,
  by: Vote['by'],
): Map<string, number> {
  const sums = new Map<string, number>();
  answers.forEach((answer, i) => {
    if (answer === null || values?.[i] === -Infinity) return;
    const value = values?.[i] ?? 1;
    const before = sums.get(answer);
    if (by === 'best') return void sums.set(answer, Math.max(before ?? -Infinity, value));
    const weight = by === 'majority' ? 1 : by === 'weighted' ? value : sigmoid(value);
    sums.set(answer, (before ?? 0) + weight);
  });
  return sums;
}

/** The first of the heaviest; null if nobody voted. */
export function winner(sums: ReadonlyMap<string, number>): string | null {
  const most = Math.max(...sums.values());
  for (const [answer, sum] of sums) if (sum === most) return answer;
  return null;
}
