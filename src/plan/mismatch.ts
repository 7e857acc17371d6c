/** Refuses a strategy beside rewards that it cannot search by, before any token is drawn. */

import { ServeError } from '../core/errors.ts';
import type { Alignment } from './alignment.ts';
import { relativePart } from './relative.ts';

/** What a strategy with its parameters asks of rewards. */
interface Demand {
  readonly needs: 'nothing' | 'complete' | 'prefix';
  readonly absolute: boolean;
}

/** @throws ServeError reward_mismatch, which names the strategy and what does not go with it */
export function refuseMismatch(
  strategy: string,
  { needs, absolute }: Demand,
  { rewards, asksForRewards }: Pick<Alignment, 'rewards' | 'asksForRewards'>,
): void {
  if (needs === 'nothing') {
    if (!asksForRewards) return;
    throw mismatch(`${strategy} asks no reward; choose another alignment.strategy`);
  }
  if (rewards === null)
    throw mismatch(
      `${strategy} needs a reward that reads ${needs} answers; the request names none`,
    );
  const late = rewards.specs.find(({ reads }) => needs === 'prefix' && reads === 'complete');
  if (late)
    throw mismatch(
      `${strategy} judges unfinished answers here; ${late.name} reads complete ones only`,
      late.at,
    );
  const relative = absolute ? relativePart(rewards) : null;
  if (relative !== null)
    throw mismatch(
      `${strategy} compares scores of candidates that are not judged together, and here scores depend on ` +
        `which are: ${relative.what}; use figures that are numbers or stored, or another alignment.strategy`,
      relative.at,
    );
}

const mismatch = (message: string, at = 'alignment.rewards'): ServeError =>
  new ServeError('reward_mismatch', `${at}: ${message}`, at);
