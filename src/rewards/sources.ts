/** The table of kinds: from what a plan names to the reward that judges. A new kind is a file beside this one and a line here. */

import type { ReadBy, Reward, RewardSource } from '../core/reward.ts';
import { cached } from './cached.ts';
import type { ScoreCache } from './cached.ts';
import { numberCheck, schemaCheck } from './check.ts';
import { lengthReward, repetitionReward } from './length.ts';
import { followUp } from './follow_up.ts';
import { judge } from './judge.ts';
import { likelihood } from './likelihood.ts';
import { pairwise } from './pairwise.ts';
import { ratio } from './ratio.ts';
import type { Reader } from './reader.ts';

/** What the process has loaded, once, for all requests. */
export interface Loaded {
  /** Models with a scalar head, by name. */
  readonly models: ReadonlyMap<string, Reward>;
  /** Rewards that other servers compute, by name. */
  readonly remotes: ReadonlyMap<string, Reward>;
  /** Seconds since some moment. */
  readonly now: () => number;
  /** Language models, by name. */
  readonly readers: ReadonlyMap<string, Reader>;
  readonly cache: ScoreCache;
}

type Opener<S> = (source: S, loaded: Loaded) => Reward;

const kinds: { readonly [K in RewardSource['kind']]: Opener<RewardSource & { kind: K }> } = {
  model: ({ model }, { models }) => known(models, model),
  number: numberCheck,
  schema: schemaCheck,
  length: lengthReward,
  repetition: repetitionReward,
  http: ({ name }, { remotes }) => known(remotes, name),
  likelihood: (source, loaded) =>
    remembered(likelihood(readerOf(source.by, loaded), source), loaded, source, source.by),
  ratio(source, loaded) {
    const reward = ratio(readerOf(source.plus, loaded), readerOf(source.minus, loaded), source);
    return remembered(reward, loaded, source, source.plus, source.minus);
  },
  follow_up: (source, loaded) =>
    remembered(followUp(readerOf(source.by, loaded), source), loaded, source, source.by),
  judge: (source, loaded) =>
    remembered(judge(readerOf(source.by, loaded), source), loaded, source, source.by),
  // What it says of one candidate depends on the others: there is nothing to remember.
  pairwise: (source, loaded) => pairwise(readerOf(source.by, loaded), source),
};

/** The reward that a source names. What it says of a candidate may depend on that candidate only, unless the source compares. */
export const opened = (source: RewardSource, loaded: Loaded): Reward =>
  (kinds[source.kind] as Opener<RewardSource>)(source, loaded);

const readerOf = ({ model }: ReadBy, { readers }: Loaded): Reader => known(readers, model);

const remembered = (
  reward: Reward,
  { cache }: Loaded,
  source: RewardSource,
  ...by: readonly ReadBy[]
): Reward =>
  cached(reward, cache, {
    key: JSON.stringify(source),
    readings: by.map(({ reading }) => reading),
  });

function known<T>(loaded: ReadonlyMap<string, T>, name: string): T {
  const found = loaded.get(name);
  if (found === undefined) throw new Error(`the plan names ${name}, which is not loaded`);
  return found;
}
