/** A reward that is waited for only so long: its caller hears that it is slow, and others go on without it. */

import type { Reward } from '../core/reward.ts';

export class SlowReward extends Error {
  override readonly name = 'SlowReward';
}

/** Once the signal of whoever asks aborts, the reward is told that nobody waits, as when it is slow. */
export const timed = (reward: Reward, ms: number): Reward => ({
  name: reward.name,
  reads: reward.reads,
  score: (batch, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const over = new AbortController();
      const slow = new SlowReward(`reward ${reward.name} has not answered for ${ms} ms`);
      const end = (reason: unknown): void => {
        over.abort(reason);
        reject(reason);
      };
      const timer = setTimeout(end, ms, slow);
      const abort = (): void => end(signal!.reason);
      signal?.addEventListener('abort', abort);
      void reward
        .score(batch, over.signal)
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', abort);
        });
    }),
});
