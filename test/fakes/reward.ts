/** Rewards without a model: scores that are a hash of the text, or whatever a test makes of a candidate. */

import type { Candidate, Reward, RewardPlan, RewardUse, Score } from '../../src/core/reward.ts';
import { rewardOf } from '../../src/rewards/compose.ts';

/** Judges each candidate by itself; scores are spread over [-1, 1) unless `value` says otherwise. */
export function fakeReward(
  name: string,
  value: (candidate: Candidate) => number = (candidate) => hashed(name, candidate),
): Reward & { readonly batches: (readonly Candidate[])[] } {
  const batches: (readonly Candidate[])[] = [];
  return {
    name,
    reads: 'prefix',
    batches,
    async score(batch): Promise<readonly Score[]> {
      batches.push(batch);
      await new Promise((resolve) => setImmediate(resolve));
      return batch.map((candidate) => {
        const said = value(candidate);
        return { value: said, parts: { [name]: said }, tokens: candidate.tokens.length };
      });
    },
  };
}

const hashed = (name: string, { text }: Candidate): number => {
  let h = 0x811c9dc5;
  for (const c of name + text) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 31 - 1;
};

export const use = (model: string, changes: Partial<RewardUse> = {}): RewardUse => ({
  model,
  weight: 1,
  cap: null,
  scale: null,
  transform: null,
  ...changes,
});

/** A plan of these members, summed. */
export const sumOf = (...uses: readonly RewardUse[]): RewardPlan => ({
  uses,
  ensemble: null,
  constraints: [],
  length: null,
});

/** A reward for each name that the plan uses. */
export const fakeRewardOf = (plan: RewardPlan): Reward => {
  const names = [...plan.uses, ...plan.constraints].map(({ model }) => model);
  return rewardOf(plan, new Map(names.map((name) => [name, fakeReward(name)])));
};

export const candidate = (text: string, changes: Partial<Candidate> = {}): Candidate => ({
  prompt: '',
  readings: {},
  text,
  tokens: [...text].map((c) => c.charCodeAt(0)),
  branch: 0,
  complete: true,
  ...changes,
});
