/**
 * CARDS (Li et al. 2024, cascade reward sampling): segments end where the policy is unsure, and each is drawn until accepted
 * with probability min(1, exp((R - r(t)) / beta)), the threshold r(t) = min(r*, r0 + t (r* - r0) / T) rising from
 * r0 = (1 - a) R(prompt) + a r* to r* over the T tokens an answer may have. After M rejections the best seen is taken.
 * Segments are drawn at the request's temperature; beta is the acceptance temperature alone (the reference uses one for both).
 */

import { z } from 'zod';
import { either, integer, number, strict } from '../core/fields.ts';
import type { Strategy, StrategyContext } from '../core/strategy.ts';
import type { Branch, Reach } from '../core/tree.ts';
import { segmentField } from './segment.ts';
import { alive, numberOr } from './select.ts';

export interface SegmentRejection {
  readonly segment: Reach;
  readonly beta: number;
  readonly rStar: number;
  readonly a: number;
  readonly M: number;
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
  attempts: either(integer(1, 100), 20),
});

export const segmentRejection: Strategy<SegmentRejection> = {
  parse(raw, context) {
    const { segment, temperature: beta, target, start: a, attempts: M } = fields.parse(raw);
    const rStar = typeof target === 'number' ? target : quantile(target.quantile, context);
    return { segment, beta, rStar, a, M };
  },
  needs: () => 'prefix',
  peak: () => ({ least: 3, most: 3 }), // the answer, the best segment seen, the one on trial

  async *search(tree, { segment, beta, rStar, a, M }) {
    let answer = tree.root;
    const r0 = (1 - a) * (await tree.score([answer]))[0]!.value + a * rStar;
    for (let trial = 0; alive(answer);) {
      let [bestSeen, most]: [Branch | null, number] = [null, -Infinity];
      for (let m = 0; m < M; m++) {
        const draft = tree.fork(answer, 2)[1]!;
        await tree.extend([draft], segment);
        const R = numberOr((await tree.score([draft]))[0]!.value, -Infinity);
        if (bestSeen === null || R > most) [bestSeen, most] = [draft, R];
        const bar = threshold(draft.tokens.length, tree.maxTokens, r0, rStar);
        if (tree.uniform(trial++) < acceptance(R, bar, beta)) {
          bestSeen = draft;
          break;
        }
        yield [answer, bestSeen];
      }
      answer = bestSeen!;
      yield [answer];
    }
    return [answer];
  },
};

/** r(t): the reward a prefix of t tokens is held to. */
export const threshold = (t: number, T: number, r0: number, rStar: number): number =>
  Math.min(rStar, r0 + (t * (rStar - r0)) / T);

export const acceptance = (R: number, bar: number, beta: number): number =>
  Math.min(1, Math.exp((R - bar) / beta));

function quantile(q: number, { rewardQuantile }: StrategyContext): number {
  const value = rewardQuantile?.(q) ?? null;
  if (value !== null) return value;
  const message = 'a number: no quantiles of this reward are stored';
  throw new z.ZodError([{ code: 'custom', path: ['target'], message, input: { quantile: q } }]);
}
