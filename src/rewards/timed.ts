/** A reward that is waited for only so long: its caller hears that it is slow, and others go on without it. */

import type { Reward } from '../core/reward.ts';

export class SlowReward extends Error {
  override readonly name = 'SlowReward';
}

export const timed = (reward: Reward, ms: number): Reward => ({
  name: reward.name,
  reads: reward.reads,
  score: (batch) =>
    new Promise((resolve, reject) => {
      const slow = (): void =>
        reject(new SlowReward(`reward ${reward.name} has not answered for ${ms} ms`));
      const timer = setTimeout(slow, ms);
      void reward
        .score(batch)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    }),
});
