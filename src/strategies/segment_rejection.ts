/**
 * CARDS (Li et al. 2024, cascade reward sampling): segments end where the policy is unsure, and each is drawn until accepted
 * with probability
 *   min(1, exp((R - r(t)) / beta)),                                                                    (1)
 * the threshold rising over the T tokens that an answer may have,
 *   r(t) = min(r*, r0 + t (r* - r0) / T),                                                              (2)
 *   r0 = (1 - a) R(prompt) + a r*.                                                                     (3)
 * After M rejections the best seen is taken, or the last where none could be judged. r* is a number, or a quantile of the
 * reward over whole answers. Segments are drawn at the request's temperature; beta is the acceptance temperature alone (the
 * reference uses one for both).
 */

import { z } from 'zod';
import { either, integer, number, read, strict } from '../core/fields.ts';
import { quantile } from '../core/math.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Branch, Reach, Tree } from '../core/tree.ts';
import { segmentField } from './segment.ts';
import { alive, noScore, numberOr, waves } from './select.ts';

export interface SegmentRejection {
  readonly segment: Reach;
  readonly beta: number;
  /** r*, or which quantile of the rewards of whole answers it is. */
  readonly target: number | { readonly quantile: number };
  readonly a: number;
  readonly M: number;
}

async function* search(tree: Tree, params: SegmentRejection): Search {
  const { segment, beta, target, a, M } = params;
  let answer = tree.root;
  const rStar = typeof target === 'number' ? target : await sampled(tree, target.quantile);
  const r = await rewardOf(tree, answer);
  const r0 = (1 - a) * numberOr(r, rStar) + a * rStar; // (3); some rewards cannot judge an empty answer
  for (let trial = 0; alive(answer);) {
    let [bestSeen, most] = [answer, NaN];
    for (let m = 0; m < M; m++) {
      const draft = tree.twins(answer, 1)[0]!;
      await tree.extend([draft], segment);
      const R = await rewardOf(tree, draft); // NaN is never accepted
      if (Number.isNaN(most) || R > most) [bestSeen, most] = [draft, R];
      const bar = threshold(draft.tokens.length, tree.maxTokens, r0, rStar); // (2)
      const accepted = tree.uniform(trial++) < acceptance(R, bar, beta); // (1)
      tree.note('accepted', Number(accepted));
      if (accepted) {
        bestSeen = draft;
        break;
      }
      yield [answer, bestSeen];
    }
    answer = bestSeen;
    yield [answer];
  }
  return [answer];
}

const rewardOf = async (tree: Tree, branch: Branch): Promise<number> =>
  (await tree.score([branch]))[0]!.value;

/** r(t): the reward a prefix of t tokens is held to. */
export const threshold = (t: number, T: number, r0: number, rStar: number): number =>
  Math.min(rStar, r0 + (t * (rStar - r0)) / T);

export const acceptance = (R: number, bar: number, beta: number): number =>
  Math.min(1, Math.exp((R - bar) / beta));

/** Answers that stand in for stored quantiles. */
const SAMPLES = 8;

/** A quantile of the reward over answers drawn for the purpose: where the manifest stores none. */
async function sampled(tree: Tree, q: number): Promise<number> {
  tree.park([tree.root]);
  const samples = tree.twins(tree.root, SAMPLES);
  const rewards: number[] = [];
  for (const wave of waves(samples, tree.width)) {
    await tree.extend(wave, { tokens: tree.maxTokens });
    rewards.push(...(await tree.score(wave)).map(({ value }) => value));
    tree.park(wave);
  }
  const target = quantile(rewards, q);
  if (Number.isNaN(target)) throw noScore();
  return target;
}

const fields = strict({
  segment: either(segmentField, { tokens: 64, until: { entropy: 3, least: 4 } }),
  temperature: either(number(0.001, 1000), 0.7),
  target: either(
    z.union([number(-1e6, 1e6), strict({ quantile: number(0, 1) })], {
      error: 'a number, or {"quantile": 0 to 1}',
    }),
    { quantile: 0.95 },
  ),
  start: either(number(0, 1), 0.5),
  attempts: either(integer(1, 50), 20),
});

export const segmentRejection: Strategy<SegmentRejection> = {
  fields,
  parse(raw, context) {
    const { segment, temperature: beta, target, start: a, attempts: M } = read(fields, raw);
    const stored = typeof target === 'number' ? null : context.rewardQuantile?.(target.quantile);
    return { segment, beta, target: stored ?? target, a, M };
  },
  needs: () => 'prefix',
  absolute: () => true, // each draft is judged alone, and held against a bar
  peak: () => exactly(3), // the answer, the best segment seen, the one on trial
  search,
};
