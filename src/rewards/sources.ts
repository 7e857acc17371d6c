/** The table of kinds: from what a plan names to the reward that judges. A new kind is a file beside this one and a line here. */

import type { Reward, RewardSource } from '../core/reward.ts';
import { numberCheck, schemaCheck } from './check.ts';
import { lengthReward, repetitionReward } from './length.ts';

/** What the process has loaded, once, for all requests. */
export interface Loaded {
  /** Models with a scalar head, by name. */
  readonly models: ReadonlyMap<string, Reward>;
  /** Rewards that other servers compute, by name. */
  readonly remotes: ReadonlyMap<string, Reward>;
  /** Seconds since some moment. */
  readonly now: () => number;
}

type Opener<S> = (source: S, loaded: Loaded) => Reward;

const kinds: { readonly [K in RewardSource['kind']]: Opener<RewardSource & { kind: K }> } = {
  model: ({ model }, { models }) => known(models, model),
  number: numberCheck,
  schema: schemaCheck,
  length: lengthReward,
  repetition: repetitionReward,
  http: ({ name }, { remotes }) => known(remotes, name),
};

/** The reward that a source names. What it says of a candidate may depend on that candidate only. */
export const opened = (source: RewardSource, loaded: Loaded): Reward =>
  (kinds[source.kind] as Opener<RewardSource>)(source, loaded);

function known(rewards: ReadonlyMap<string, Reward>, name: string): Reward {
  const reward = rewards.get(name);
  if (reward === undefined) throw new Error(`the plan names reward ${name}, which is not loaded`);
  return reward;
}
