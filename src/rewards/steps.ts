/**
 * Process rewards of any source: a text is cut into steps, the score of step k is that of the text up to its end,
 * and what the steps come to is the candidate's score (METHODS.md 2 and 3).
 */

import { sum } from '../core/math.ts';
import type { Candidate, Reward, Score, Steps } from '../core/reward.ts';
import { clip, deltas } from './transforms.ts';

/** @param id the member's, under which `Score.steps` holds what each step was worth after the transform */
export function stepped(id: string, reward: Reward, steps: Steps): Reward {
  return {
    name: reward.name,
    reads: reward.reads,
    async score(batch, signal) {
      const cut = batch.map((candidate) => prefixes(candidate, steps));
      const scores = await reward.score(cut.flat(), signal);
      let at = 0;
      return cut.map((parts) => combined(id, scores.slice(at, (at += parts.length)), steps));
    },
  };
}

/** Ends of the steps, ascending; the last is that of the text. */
export function stepEnds(text: string, { until, most }: Pick<Steps, 'until' | 'most'>): number[] {
  const ends: number[] = [];
  let from = 0;
  while (from < text.length && ends.length < most - 1) {
    const next = until.flatMap((mark) => {
      const found = text.indexOf(mark, from);
      return found < 0 ? [] : [found + mark.length];
    });
    if (next.length === 0) break;
    ends.push((from = Math.min(...next)));
  }
  if (ends.at(-1) !== text.length || ends.length === 0) ends.push(text.length);
  return ends;
}

/** Sources that judge steps read texts only. */
const prefixes = (candidate: Candidate, steps: Steps): Candidate[] =>
  stepEnds(candidate.text, steps).map((end) =>
    end === candidate.text.length
      ? candidate
      : { ...candidate, text: candidate.text.slice(0, end), tokens: [], complete: false },
  );

function combined(id: string, scores: readonly Score[], { transform, aggregate }: Steps): Score {
  const raw = scores.map(({ value }) => value);
  const values =
    transform === null
      ? raw
      : transform.kind === 'delta'
        ? deltas(raw)
        : raw.map((value) => clip(value, transform.eta));
  return {
    value: AGGREGATES[aggregate](values),
    parts: {},
    tokens: sum(scores.map(({ tokens }) => tokens ?? 0)),
    steps: { [id]: values },
  };
}

/** One value of the steps' values; NaN if one is. */
const AGGREGATES: Readonly<Record<Steps['aggregate'], (values: readonly number[]) => number>> = {
  min: (values) => Math.min(...values),
  last: (values) => (values.some(Number.isNaN) ? NaN : values.at(-1)!),
  prod: (values) => values.reduce((a, b) => a * b, 1),
  mean: (values) => sum(values) / values.length,
  sum,
};
