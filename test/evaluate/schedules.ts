/**
 * When to give up which share of the growing answers, by what was measured and no model of it: the answers that were
 * watched are pruned as the server would prune them, and what is lost and saved is counted. A schedule is fitted on
 * some prompts and counted on others (folds), so that the loss it is stored with is none that it was chosen by.
 */

import { keptOf } from '../../src/strategies/prune/speculative_rejection.ts';
import { mulberry } from '../support/mulberry.ts';

/** What a reward said of an answer: at each point that it was longer than, and in the end. */
export interface Watched {
  readonly prompt: number;
  readonly tokens: number;
  readonly partial: ReadonlyMap<number, number>;
  readonly final: number;
}

/** The share that is given up at each length. */
export type Alphas = ReadonlyMap<number, number>;

/** Sums over groups of answers to one prompt: what best-of-n gains over their mean, and how much of it pruning loses. */
interface Count {
  readonly prompt: number;
  readonly gain: number;
  readonly lost: number;
  readonly tokens: number;
  readonly drawn: number;
}

export interface Fitted {
  readonly n: number;
  readonly alphas: Alphas;
  /** Share of the gain, on prompts that it was not fitted on; and the upper end of its 95 % interval. */
  readonly loss: number;
  readonly most: number;
  /** Share of the tokens. */
  readonly saved: number;
}

/** Numbers of answers to a prompt. */
const SIZES = [4, 8, 16, 32];
/** What fits may lose, of the prompts that they see. */
const LOSSES = [0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.08];
const FOLDS = 5;
const STEP = 0.125;
const RESAMPLED = 1000;

/** By n, then by what is risked: those that save more than any of as many answers that risks less. */
export function schedulesOf(answers: readonly Watched[], points: readonly number[]): Fitted[] {
  const random = mulberry(1);
  return SIZES.flatMap((n) => {
    const groups = groupsOf(answers, n);
    const all = groups.length > 0 ? LOSSES.map((loss) => fitted(groups, points, loss, random)) : [];
    const careful = all.toSorted((a, b) => a.most - b.most || b.saved - a.saved);
    return careful.filter(
      ({ saved }, i) => saved > Math.max(0, ...careful.slice(0, i).map((one) => one.saved)),
    );
  });
}

/** Disjoint groups of n answers to the same prompt. */
export function groupsOf(answers: readonly Watched[], n: number): Watched[][] {
  const groups: Watched[][] = [];
  for (const prompt of new Set(answers.map((one) => one.prompt))) {
    const own = answers.filter((one) => one.prompt === prompt);
    for (let at = 0; at + n <= own.length; at += n) groups.push(own.slice(at, at + n));
  }
  return groups;
}

const byLength = (alphas: Alphas): Alphas => new Map([...alphas].toSorted(([a], [b]) => a - b));

/** One group, pruned as `calibrated` prunes. */
export function counted(group: readonly Watched[], alphas: Alphas): Count {
  let pool = group;
  let drawn = 0;
  for (const [point, alpha] of byLength(alphas)) {
    const growing = pool.filter(({ partial }) => partial.has(point));
    if (growing.length === 0) continue;
    const order = growing.toSorted((a, b) => b.partial.get(point)! - a.partial.get(point)!);
    const gone = new Set(order.slice(keptOf(growing.length, alpha)));
    drawn += gone.size * point;
    pool = pool.filter((one) => !gone.has(one));
  }
  const sum = (of: readonly Watched[], pick: (one: Watched) => number): number =>
    of.reduce((total, one) => total + pick(one), 0);
  const best = (of: readonly Watched[]): number => Math.max(...of.map(({ final }) => final));
  return {
    prompt: group[0]!.prompt,
    gain: best(group) - sum(group, ({ final }) => final) / group.length,
    lost: best(group) - best(pool),
    tokens: sum(group, ({ tokens }) => tokens),
    drawn: drawn + sum(pool, ({ tokens }) => tokens),
  };
}

const total = (counts: readonly Count[], of: 'gain' | 'lost' | 'tokens' | 'drawn'): number =>
  counts.reduce((sum, count) => sum + count[of], 0);
const lossOf = (counts: readonly Count[]): number => total(counts, 'lost') / total(counts, 'gain');
const savedOf = (counts: readonly Count[]): number =>
  1 - total(counts, 'drawn') / total(counts, 'tokens');

/** Greedily: whatever saves the most for what it loses, while the loss stays within `loss`. */
export function fit(groups: readonly Watched[][], points: readonly number[], loss: number): Alphas {
  let alphas: Alphas = new Map();
  let [lost, saved] = [0, 0];
  for (;;) {
    let best: { alphas: Alphas; lost: number; saved: number; worth: number } | null = null;
    for (const point of points)
      for (let alpha = (alphas.get(point) ?? 0) + STEP; alpha < 1; alpha += STEP) {
        const tried = new Map([...alphas, [point, alpha]]);
        const counts = groups.map((group) => counted(group, tried));
        const next = { alphas: tried, lost: lossOf(counts), saved: savedOf(counts) };
        if (next.lost > loss || next.saved <= saved) continue;
        const worth = (next.saved - saved) / (Math.max(0, next.lost - lost) + 1e-3);
        if (best === null || worth > best.worth) best = { ...next, worth };
      }
    if (best === null) return alphas;
    ({ alphas, lost, saved } = best);
  }
}

/**
 * Fitted to all groups; its figures are those of schedules fitted without the prompts that they are counted on.
 * @param loss what the fit may lose of the prompts that it sees
 */
export function fitted(
  groups: readonly Watched[][],
  points: readonly number[],
  loss: number,
  random: () => number,
): Fitted {
  const counts = Array.from({ length: FOLDS }, (_, fold) => {
    const isOut = (group: readonly Watched[]): boolean => group[0]!.prompt % FOLDS === fold;
    const own = fit(
      groups.filter((group) => !isOut(group)),
      points,
      loss,
    );
    return groups.filter(isOut).map((group) => counted(group, own));
  }).flat();
  const prompts = [...new Set(counts.map(({ prompt }) => prompt))];
  const byPrompt = prompts.map((prompt) => counts.filter((count) => count.prompt === prompt));
  const losses = Array.from({ length: RESAMPLED }, () =>
    lossOf(byPrompt.flatMap(() => byPrompt[Math.floor(random() * byPrompt.length)]!)),
  ).toSorted((a, b) => a - b);
  return {
    n: groups[0]!.length,
    alphas: byLength(fit(groups, points, loss)),
    loss: lossOf(counts),
    most: losses[Math.ceil(0.95 * RESAMPLED) - 1]!,
    saved: savedOf(counts),
  };
}
