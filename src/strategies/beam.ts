/**
 * Likelihood beam search. Of all continuations of k live hypotheses the 2k likeliest are looked at: those that end
 * the answer join the finished ones if they rank below k, and the first k of the others live on.
 * Ranks by S = sum_t log p + sum_i w_i log q_i, unnormalised (METHODS.md 4); finished ones by S / length^penalty.
 * Diverse groups (Vijayakumar et al. 2016): a group of k/G ranks a token by S - lambda * (earlier groups that took it).
 * Deterministic: temperature, truncation, bias and penalties take no part.
 */

import { z } from 'zod';
import { either, integer, number, oneOf, strict } from '../core/fields.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Peeked, Token, Tree } from '../core/tree.ts';
import { descending } from './select.ts';

export interface Beam {
  readonly k: number;
  readonly G: number;
  readonly lambda: number;
  /** > 0 favours long answers, < 0 short ones. */
  readonly penalty: number;
  /** generated: end token included. full: prompt and answer, end token left out (vLLM, older Hugging Face). */
  readonly basis: 'generated' | 'full';
  /** true: stop at k finished. false: when no live one wins at its length of now. never: nor at the longest it may reach. */
  readonly early: boolean | 'never';
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
}).refine(({ width, groups }) => width % groups === 0, {
  message: 'a divisor of width',
  path: ['groups'],
});

export const beam: Strategy<Beam> = {
  parse(raw) {
    const { width: k, groups: G, diversity: lambda, ...rest } = fields.parse(raw);
    const { length_penalty: penalty, length_basis: basis, early_stopping: early } = rest;
    return { k, G, lambda, penalty, basis, early };
  },
  needs: () => 'nothing',
  peak: ({ k }) => ({ least: k + 1, most: k + 1 }), // one more while a hypothesis is ended

  async *search(tree, params) {
    const { k, G, lambda } = params;
    const groups: Group[] = tree
      .fork(tree.root, G)
      .map((branch) => ({ live: [branch], finished: [] }));
    while (groups.some(({ live }) => live.length > 0)) {
      const nexts = await peekAll(tree, groups, k + k / G); // 2k/G, and what other groups may take
      const taken = new Map<Token, number>();
      groups.forEach((group, g) => {
        const sums = group.live.map(sumOf);
        const chosen = choose(sums, nexts[g]!, k / G, (token) => lambda * (taken.get(token) ?? 0));
        for (const { next } of chosen.live) taken.set(next.token, (taken.get(next.token) ?? 0) + 1);
        grow(tree, group, chosen, params);
      });
      yield groups.flatMap(({ live, finished }) => [...live, ...finished.map((one) => one.branch)]);
    }
    return groups
      .flatMap(({ finished }) => finished)
      .toSorted((a, b) => descending(a.score, b.score))
      .map(({ branch }) => branch);
  },
};

interface Group {
  live: Branch[];
  /** Best first, k/G at most. */
  finished: Finished[];
}

interface Finished {
  readonly branch: Branch;
  readonly score: number;
}

/** A hypothesis that could be: the `parent`th live one, and a token. */
export interface Continuation {
  readonly parent: number;
  readonly next: Peeked;
  readonly sum: number;
}

export interface Chosen {
  readonly live: readonly Continuation[];
  readonly ended: readonly Continuation[];
}

const sumOf = ({ logprob, logZ }: Branch): number => logprob + logZ;

const peekAll = (tree: Tree, groups: readonly Group[], n: number) =>
  Promise.all(groups.map(({ live }) => Promise.all(live.map((branch) => tree.peek(branch, n)))));

/**
 * One step of a group: which continuations live on, and which end.
 * @param penalty subtracted where continuations of this step are ranked, and only there
 */
export function choose(
  sums: readonly number[],
  nexts: readonly (readonly Peeked[])[],
  k: number,
  penalty: (token: Token) => number,
): Chosen {
  const all = nexts.flatMap((tokens, parent) =>
    tokens.map((next): Continuation & { rank: number } => {
      const sum = sums[parent]! + next.logprob + next.logZ;
      return { parent, next, sum, rank: sum - penalty(next.token) };
    }),
  );
  const top = all.toSorted((a, b) => descending(a.rank, b.rank)).slice(0, 2 * k);
  return {
    live: top.filter(({ next }) => !next.ends).slice(0, k),
    ended: top.slice(0, k).filter(({ next }) => next.ends),
  };
}

/** Makes the chosen continuations: KV moves by forks, and hypotheses that nobody continues give theirs back first. */
function grow(tree: Tree, group: Group, { live, ended }: Chosen, params: Beam): void {
  const old = group.live;
  const ends = ended.map(({ parent, next }) => {
    const twin = tree.fork(old[parent]!, 2)[1]!;
    tree.push(twin, next);
    tree.park([twin]);
    return { branch: twin, score: scoreOf(tree, twin, true, params) };
  });
  const children = old.map((_, i) => live.filter(({ parent }) => parent === i).length);
  tree.park(old.filter((_, i) => children[i] === 0));
  const twins = old.map((branch, i) => (children[i]! > 0 ? tree.fork(branch, children[i]!) : []));
  const next = live.map(({ parent, next }) => {
    const branch = twins[parent]!.shift()!;
    tree.push(branch, next);
    return branch;
  });
  const cut = next.filter(({ finish }) => finish !== null); // by a stop string, or the limit
  tree.park(cut);
  const done = cut.map((branch) => ({ branch, score: scoreOf(tree, branch, false, params) }));
  group.finished = [...group.finished, ...ends, ...done]
    .toSorted((a, b) => descending(a.score, b.score))
    .slice(0, params.k / params.G);
  group.live = next.filter(({ finish }) => finish === null);
  if (isDone(tree, group, params)) group.live = [];
}

/** @param ended the last token is an end token */
const scoreOf = (tree: Tree, branch: Branch, ended: boolean, params: Beam): number =>
  normalised(
    sumOf(branch),
    lengthOf(tree.promptTokens, branch.tokens.length, ended, params.basis),
    params.penalty,
  );

/** S / length^penalty. */
export const normalised = (sum: number, length: number, penalty: number): number =>
  sum / length ** penalty;

/** @param tokens generated, the end token included if the answer `ended` with one */
export const lengthOf = (
  promptTokens: number,
  tokens: number,
  ended: boolean,
  basis: Beam['basis'],
): number => (basis === 'generated' ? tokens : promptTokens + tokens - Number(ended));

/** Whether no live hypothesis may still enter the finished ones, as far as `early` asks. */
function isDone(
  tree: Tree,
  { live, finished }: Group,
  { k, G, early, penalty, basis }: Beam,
): boolean {
  if (finished.length < k / G) return false;
  if (early === true || live.length === 0) return true;
  const longest = early === 'never' && penalty > 0 ? tree.maxTokens : live[0]!.tokens.length;
  const length = lengthOf(tree.promptTokens, longest, false, basis);
  const reach = Math.max(...live.map((branch) => normalised(sumOf(branch), length, penalty)));
  return finished.at(-1)!.score >= reach;
}
