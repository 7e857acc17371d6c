/** Rewards without a model: scores that are a hash of the text, or whatever a test makes of a candidate. */

import type { Candidate, Reward, RewardPlan, RewardUse, Score } from '../../src/core/reward.ts';
import { scoreCache } from '../../src/rewards/cached.ts';
import { rewardOf } from '../../src/rewards/compose.ts';
import { memberOf } from '../../src/rewards/member.ts';
import type { Loaded } from '../../src/rewards/sources.ts';
import type { Running } from '../../src/run/run.ts';

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
    async score(batch, signal): Promise<readonly Score[]> {
      signal?.throwIfAborted();
      batches.push(batch);
      await new Promise((resolve) => setImmediate(resolve));
      return batch.map((candidate) => {
        const said = value(candidate);
        return { value: said, parts: {}, tokens: candidate.tokens.length };
      });
    },
  };
}

/** The same as a member of a request: what it says stands in `parts` under its name. */
export const fakeMember = (name: string, value?: (candidate: Candidate) => number): Reward =>
  memberOf(name, fakeReward(name, value), { now: () => 0, told: () => undefined });

const hashed = (name: string, { text }: Candidate): number => {
  let h = 0x811c9dc5;
  for (const c of name + text) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193);
  return ((h ^ (h >>> 15)) >>> 0) / 2 ** 31 - 1;
};

export const use = (model: string, changes: Partial<RewardUse> = {}): RewardUse => ({
  id: model,
  source: { kind: 'model', model },
  steps: null,
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
  lagrange: null,
  constraints: [],
  length: null,
});

/** What a process with these reward models would have loaded. */
export const loaded = (...models: readonly Reward[]): Loaded => ({
  models: new Map(models.map((model) => [model.name, model])),
  personal: new Map(),
  remotes: new Map(),
  now: () => 0,
  readers: new Map(),
  writers: new Map(),
  cache: scoreCache(0),
});

/** What a plan judges with; nobody is told of it. */
export const composed = (plan: RewardPlan, known: Loaded, signal?: AbortSignal): Reward =>
  rewardOf(plan, known, () => undefined, signal);

/** A reward model for each use of the plan. */
export const fakeRewardOf: Running['rewardOf'] = (plan, _told, signal) =>
  composed(plan, loaded(...plan.uses.map(({ id }) => fakeReward(id))), signal);

export const candidate = (text: string, changes: Partial<Candidate> = {}): Candidate => ({
  prompt: '',
  messages: null,
  readings: {},
  text,
  tokens: [...text].map((c) => c.charCodeAt(0)),
  branch: 0,
  complete: true,
  ...changes,
});
