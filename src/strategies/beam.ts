/**
 * Beam search. Of all continuations of k live hypotheses the 2k best are looked at: those that end the answer join the
 * finished ones if they rank below k, and the first k of the others live on. Ranks by S + w R, where
 *   S = sum_t log p + sum_i w_i log q_i, unnormalised (METHODS.md 4), bias and penalties added,      (1)
 * and R is the request's reward of the text so far, where it names one; finished ones by
 *   S / length^penalty + w R.                                                                        (2)
 * Diverse groups (Vijayakumar et al. 2016): a group of k/G ranks a token by
 *   S - lambda * (earlier groups that took it).                                                      (3)
 * Deterministic: of the sampling fields only what cuts tokens off takes part (top_k; top_p and min_p at the temperature).
 */

import { z } from 'zod';
import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import type { Search, Strategy } from '../core/strategy.ts';
import { exactly } from '../core/strategy.ts';
import type { Branch, Token, Tree } from '../core/tree.ts';
import { bestOf, byRank, chosenOf, isDone, scoreOf } from './beam_rank.ts';
import type { Chosen, Continuation, Finished, Live, Ranking } from './beam_rank.ts';
import { alive, descending, noScore, numberOr } from './select.ts';

export interface Beam extends Ranking {
  readonly k: number;
  readonly G: number;
  readonly lambda: number;
  /** 0: no reward is asked. */
  readonly w: number;
}

async function* search(tree: Tree, beam: Beam): Search {
  const { k, G, lambda, w } = beam;
  const groups = tree.fork(tree.root, G).map(begun);
  while (groups.some(({ live }) => live.length > 0)) {
    const nexts = await peekAll(tree, groups, k + k / G); // 2k/G, and what other groups may take
    const taken = new Map<Token, number>();
    for (const [g, group] of groups.entries()) {
      const off = (token: Token): number => lambda * (taken.get(token) ?? 0); // (3)
      const likely = bestOf(group.live, nexts[g]!, (2 * k) / G, off); // (1)
      const chosen = chosenOf(await rewarded(tree, group.live, likely, w), k / G);
      for (const { next } of chosen.live) taken.set(next.token, (taken.get(next.token) ?? 0) + 1);
      groups[g] = grown(tree, group, chosen, beam);
    }
    yield groups.flatMap(({ live, finished }) => [...live, ...finished].map((one) => one.branch));
  }
  const finished = groups.flatMap((group) => group.finished);
  if (finished.length === 0) throw noScore();
  if (w !== 0) await tree.score(finished.map(({ branch }) => branch)); // for the report: they are known
  return finished.toSorted((a, b) => descending(a.score, b.score)).map(({ branch }) => branch);
}

interface Group {
  readonly live: readonly Live[];
  /** Best first, k/G at most. */
  readonly finished: readonly Finished[];
}

const begun = (branch: Branch): Group => ({
  live: [{ branch, sum: 0, reward: 0 }],
  finished: [],
});

const peekAll = (tree: Tree, groups: readonly Group[], n: number) =>
  Promise.all(
    groups.map(({ live }) => Promise.all(live.map(({ branch }) => tree.peek(branch, n)))),
  );

/** The same with their own rewards, best first. One without a score ranks last. */
async function rewarded(
  tree: Tree,
  live: readonly Live[],
  likely: readonly Continuation[],
  w: number,
): Promise<readonly Continuation[]> {
  if (w === 0 || likely.length === 0) return likely;
  const scores = await tree.score(
    likely.map(({ parent, next }) => tree.take(live[parent]!.branch, next)),
  );
  return likely
    .map((one, i) => ({ ...one, reward: numberOr(w * scores[i]!.value, -Infinity) }))
    .toSorted(byRank);
}

/** The group with the chosen continuations in place of its hypotheses. */
function grown(tree: Tree, group: Group, chosen: Chosen, beam: Beam): Group {
  const k = beam.k / beam.G;
  const old = group.live.map(({ branch }) => branch);
  const ended = chosen.ended.map(({ parent, next, sum, reward }) => {
    const branch = tree.take(old[parent]!, next);
    return { branch, score: scoreOf(tree, { branch, sum, reward }, true, beam) }; // (2)
  });
  const places = chosen.live.map(({ parent }) => parent);
  const moved = tree.reorder(old, places).map((branch, i): Live => {
    const { next, sum, reward } = chosen.live[i]!;
    tree.push(branch, next);
    return { branch, sum, reward };
  });
  const cut = moved.filter(({ branch }) => !alive(branch)); // by a stop string, or the limit
  const done = cut.map((one) => ({
    branch: one.branch,
    score: scoreOf(tree, one, false, beam),
  }));
  const more = [...ended, ...done].filter(({ score }) => score > -Infinity); // what cannot be judged is no answer
  const finished =
    more.length === 0
      ? group.finished
      : [...group.finished, ...more].toSorted((a, b) => descending(a.score, b.score)).slice(0, k);
  const live = moved.filter(({ branch }) => alive(branch));
  return { live: isDone(tree, { live, finished }, k, beam) ? [] : live, finished };
}

const fields = strict({
  width: either(integer(1, 32), 4), // a peek shows 64
  groups: either(integer(1, 32), 1),
  diversity: either(number(0, 100), 0.5),
  length_penalty: either(number(-10, 10), 0),
  length_basis: either(oneOf(['generated', 'full']), 'generated'),
  early_stopping: either(
    z.union([z.boolean(), z.literal('never')], 'true, false or "never"'),
    'never',
  ),
  reward_weight: number(-1000, 1000).nullish(),
}).refine(({ width, groups }) => width % groups === 0, {
  message: 'a divisor of width',
  path: ['groups'],
});

export const beam: Strategy<Beam> = {
  fields,
  parse(raw, { judged }) {
    const { width: k, groups: G, diversity: lambda, ...rest } = read(fields, raw);
    const { length_penalty: penalty, length_basis: basis, early_stopping: early } = rest;
    return { k, G, lambda, penalty, basis, early, w: rest.reward_weight ?? Number(judged) };
  },
  needs: ({ w }) => (w === 0 ? 'nothing' : 'prefix'),
  absolute: ({ w }) => w !== 0, // finished hypotheses of all steps compete
  peak: ({ k }) => exactly(k),
  search,
};
