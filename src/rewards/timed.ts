/** A reward that is waited for only so long: its caller hears that it is slow, and others go on without it. */

import type { Reward } from '../core/reward.ts';

export class SlowReward extends Error {
  override readonly name = 'SlowReward';
}

/** @param until of whoever asks: once it aborts, the reward is told that nobody waits, as when it is slow */
export const timed = (reward: Reward, ms: number, until?: AbortSignal): Reward => ({
  name: reward.name,
  reads: reward.reads,
  score: (batch) =>
    new Promise((resolve, reject) => {
      until?.throwIfAborted();
      const over = new AbortController();
      const slow = new SlowReward(`reward ${reward.name} has not answered for ${ms} ms`);
      const end = (reason: unknown): void => {
        over.abort(reason);
        reject(reason);
      };
      const timer = setTimeout(end, ms, slow);
      const abort = (): void => end(until!.reason);
      until?.addEventListener('abort', abort);
      void reward
        .score(batch, over.signal)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          until?.removeEventListener('abort', abort);
        });
    }),
});
