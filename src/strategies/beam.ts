/**
 * Beam search. Of all continuations of k live hypotheses the 2k best are looked at: those that end the answer join the
 * finished ones if they rank below k, and the first k of the others live on. Ranks by S + w R, where
 *   S = sum_t log p + sum_i w_i log q_i, unnormalised (METHODS.md 4), bias and penalties added,
 * and R is the request's reward of the text so far, where it names one; finished ones by S / length^penalty + w R.
 * Diverse groups (Vijayakumar et al. 2016): a group of k/G ranks a token by S - lambda * (earlier groups that took it).
 * Deterministic: of the sampling fields only what cuts tokens off takes part (top_k; top_p and min_p at the temperature).
 */

import { z } from 'zod';
import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Peeked, Token, Tree } from '../core/tree.ts';
import {
  bestOf,
  byRank,
  chosenOf,
  lengthOf,
  normalised,
  type Chosen,
  type Continuation,
} from './beam_rank.ts';
import { alive, descending, noScore, numberOr } from './select.ts';

export interface Beam {
  readonly k: number;
  readonly G: number;
  readonly lambda: number;
  /** > 0 favours long answers, < 0 short ones. */
  readonly penalty: number;
  /** generated: end token included. full: prompt and answer, end token left out (vLLM, older Hugging Face). */
  readonly basis: 'generated' | 'full';
  /**
   * true: stop at k finished. false: when no live one wins at its length of now. never: nor at the longest it may reach. Both
   * take a live one's S and R as they are now, so none that could win is lost where S only falls (no token adds more than 0)
   * and w is 0. A ratio, a negative weight, a bias above 0 or a reward may lift a live one later: the bound is a guess then.
   */
  readonly early: boolean | 'never';
  /** 0: no reward is asked. */
  readonly w: number;
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
  peak: ({ k }) => ({ least: k + 1, most: k + 1 }), // one more while a hypothesis is tried or ended

  async *search(tree, params) {
    const { k, G, lambda } = params;
    const groups: Group[] = tree
      .fork(tree.root, G)
      .map((branch) => ({ live: [{ branch, sum: 0, reward: 0 }], finished: [] }));
    while (groups.some(({ live }) => live.length > 0)) {
      const nexts = await peekAll(tree, groups, k + k / G); // 2k/G, and what other groups may take
      const taken = new Map<Token, number>();
      for (const [g, group] of groups.entries()) {
        const penalty = (token: Token): number => lambda * (taken.get(token) ?? 0);
        const best = bestOf(group.live, nexts[g]!, (2 * k) / G, penalty);
        const chosen = chosenOf(await rewarded(tree, group.live, best, params.w), k / G);
        for (const { next } of chosen.live) taken.set(next.token, (taken.get(next.token) ?? 0) + 1);
        grow(tree, group, chosen, params);
      }
      yield groups.flatMap(({ live, finished }) => [...live, ...finished].map((one) => one.branch));
    }
    const finished = groups.flatMap((group) => group.finished);
    if (finished.length === 0) throw noScore();
    if (params.w !== 0) await tree.score(finished.map(({ branch }) => branch)); // for the report: they are known
    return finished.toSorted((a, b) => descending(a.score, b.score)).map(({ branch }) => branch);
  },
};

interface Group {
  live: Live[];
  /** Best first, k/G at most. */
  finished: Finished[];
}

interface Live {
  readonly branch: Branch;
  /** S. */
  readonly sum: number;
  /** w R; 0 without a reward. */
  readonly reward: number;
}

interface Finished {
  readonly branch: Branch;
  readonly score: number;
}

const peekAll = (tree: Tree, groups: readonly Group[], n: number) =>
  Promise.all(
    groups.map(({ live }) => Promise.all(live.map(({ branch }) => tree.peek(branch, n)))),
  );

/** The same with their own rewards, best first. They are tried on twins that hold no KV. One without a score ranks last. */
async function rewarded(
  tree: Tree,
  live: readonly Live[],
  best: readonly Continuation[],
  w: number,
): Promise<readonly Continuation[]> {
  if (w === 0 || best.length === 0) return best;
  const trials = best.map(({ parent, next }) => ended(tree, live[parent]!.branch, next));
  const scores = await tree.score(trials);
  return best
    .map((one, i) => ({ ...one, reward: numberOr(w * scores[i]!.value, -Infinity) }))
    .toSorted(byRank);
}

/** A twin with one more token that goes no further: it gives its KV back. */
function ended(tree: Tree, branch: Branch, next: Peeked): Branch {
  const twin = tree.fork(branch, 2)[1]!;
  tree.push(twin, next);
  tree.park([twin]);
  return twin;
}

/** Makes the chosen continuations: KV moves by forks, and hypotheses that nobody continues give theirs back first. */
function grow(tree: Tree, group: Group, chosen: Chosen, params: Beam): void {
  const old = group.live.map(({ branch }) => branch);
  const ends = chosen.ended.map((one) => {
    const branch = ended(tree, old[one.parent]!, one.next);
    return { branch, score: scoreOf(tree, { ...one, branch }, true, params) };
  });
  const children = old.map((_, i) => chosen.live.filter(({ parent }) => parent === i).length);
  tree.park(old.filter((_, i) => children[i] === 0));
  const twins = old.map((branch, i) => (children[i]! > 0 ? tree.fork(branch, children[i]!) : []));
  const next = chosen.live.map(({ parent, next: token, sum, reward }): Live => {
    const branch = twins[parent]!.shift()!;
    tree.push(branch, token);
    return { branch, sum, reward };
  });
  const cut = next.filter(({ branch }) => !alive(branch)); // by a stop string, or the limit
  tree.park(cut.map(({ branch }) => branch));
  const done = cut.map((one) => ({
    branch: one.branch,
    score: scoreOf(tree, one, false, params),
  }));
  group.finished = [...group.finished, ...ends, ...done]
    .filter(({ score }) => score > -Infinity) // what cannot be judged is no answer
    .toSorted((a, b) => descending(a.score, b.score))
    .slice(0, params.k / params.G);
  group.live = next.filter(({ branch }) => alive(branch));
  if (isDone(tree, group, params)) group.live = [];
}

/** @param endToken the last token is an end token */
const scoreOf = (
  tree: Tree,
  { branch, sum, reward }: Live,
  endToken: boolean,
  { penalty, basis }: Beam,
): number => {
  const length = lengthOf(tree.promptTokens, branch.tokens.length, endToken, basis);
  return normalised(sum, length, penalty) + reward;
};

/** Whether no live hypothesis may still enter the finished ones, as far as `early` asks, if neither S nor R rises. */
function isDone(
  tree: Tree,
  { live, finished }: Group,
  { k, G, early, penalty, basis }: Beam,
): boolean {
  if (finished.length < k / G) return false;
  if (early === true || live.length === 0) return true;
  const longest = early === 'never' && penalty > 0 ? tree.maxTokens : live[0]!.branch.tokens.length;
  const length = lengthOf(tree.promptTokens, longest, false, basis);
  const reach = Math.max(
    ...live.map(({ sum, reward }) => normalised(sum, length, penalty) + reward),
  );
  return finished.at(-1)!.score >= reach;
}
