/** `tokens: true` of /v1/score: members that know what each token of a text is worth tell it (RTO, implicit rewards). */

import { ServeError } from '../core/errors.ts';
import type { RewardSource, RewardUse } from '../core/reward.ts';
import type { Limits } from './catalog.ts';
import type { Scoring } from './score.ts';

/** @throws ServeError where no member knows it, or the answer would be too large */
export function tellingTokens(scoring: Scoring, { promptLogprobs: most }: Limits): Scoring {
  const { judging, tokens } = scoring;
  const { reward } = judging;
  if (!reward.uses.some(({ source, weight }) => tells(source) && weight !== 0))
    throw new ServeError(
      'reward_mismatch',
      'tokens: no reward here says what each token is worth; name a likelihood, or a ratio (plus and minus), with a weight',
      'tokens',
    );
  if (tokens > most)
    throw new ServeError(
      'invalid_value',
      `tokens: the models would read ${tokens} tokens; this server tells the scores of each where they read at most ${most}`,
      'tokens',
    );
  return {
    ...scoring,
    judging: { ...judging, reward: { ...reward, uses: reward.uses.map(told) } },
  };
}

const tells = ({ kind }: RewardSource): boolean => kind === 'likelihood' || kind === 'ratio';

const told = (use: RewardUse): RewardUse =>
  tells(use.source) ? { ...use, source: { ...use.source, tell: use.id } as RewardSource } : use;
