/** POST /v1/score, in vLLM's words: what a reward makes of texts that were written elsewhere. */

import type { Score } from '../core/reward.ts';
import { parseScore } from '../plan/score.ts';
import type { Scoring } from '../plan/score.ts';
import type { ScoringSurface } from './score_texts.ts';

export const score: ScoringSurface<Scoring> = {
  endpoint: '/v1/score',
  idPrefix: 'score-',
  parse: parseScore,
  answer: (scores, _asked, seconds) => ({
    object: 'list',
    created: seconds,
    data: scores.map(worded),
  }),
};

/** null: this text could not be judged, though others could. */
const worded = ({ value, parts, steps, byToken }: Score, index: number) => ({
  index,
  object: 'score',
  score: finite(value),
  parts: Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, finite(part)])),
  ...(steps === undefined
    ? {}
    : {
        steps: Object.fromEntries(
          Object.entries(steps).map(([id, values]) => [id, values.map(finite)]),
        ),
      }),
  ...(byToken === undefined
    ? {}
    : {
        tokens: Object.fromEntries(
          Object.entries(byToken).map(([id, tokens]) => [
            id,
            tokens.map(({ score, ...token }) => ({ ...token, score: finite(score) })),
          ]),
        ),
      }),
});

/** JSON has no other numbers. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
