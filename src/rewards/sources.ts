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
import { timed } from './timed.ts';
import type { Writer } from './writer.ts';

/** What the process has loaded, once, for all requests. */
export interface Loaded {
  /** Models with a scalar head, by name. */
  readonly models: ReadonlyMap<string, Reward>;
  /** Judges for a user, by their model's name. */
  readonly personal: ReadonlyMap<string, (user: readonly number[]) => Reward>;
  /** Rewards that other servers compute, by name. */
  readonly remotes: ReadonlyMap<string, Reward>;
  /** Seconds since some moment. */
  readonly now: () => number;
  /** Language models, by name. */
  readonly readers: ReadonlyMap<string, Reader>;
  /** Language models that have rows to write critiques in, by name. */
  readonly writers: ReadonlyMap<string, Writer>;
  readonly cache: ScoreCache;
}

type Opener<S> = (source: S, loaded: Loaded) => Reward;

const kinds: { readonly [K in RewardSource['kind']]: Opener<RewardSource & { kind: K }> } = {
  model: ({ model }, { models }) => known(models, model),
  personal: ({ model, user }, { personal }) => known(personal, model)(user),
  number: numberCheck,
  schema: schemaCheck,
  length: lengthReward,
  repetition: repetitionReward,
  http: ({ name }, { remotes }) => known(remotes, name),
  likelihood: (source, loaded) =>
    asking([source.by], { loaded, source: remembered(source) }, ([reader]) =>
      likelihood(reader!, source),
    ),
  ratio: (source, loaded) =>
    asking([source.plus, source.minus], { loaded, source: remembered(source) }, ([plus, minus]) =>
      ratio(plus!, minus!, source),
    ),
  follow_up: (source, loaded) =>
    asking([source.by], { loaded, source }, ([reader]) => followUp(reader!, source)),
  judge: (source, loaded) =>
    asking([source.by], { loaded, source }, ([reader]) =>
      judge(reader!, source.critique && known(loaded.writers, source.by.model), source),
    ),
  // What it says of one candidate depends on the others: there is nothing to remember.
  pairwise: (source, loaded) =>
    asking([source.by], { loaded, source: null }, ([reader]) => pairwise(reader!, source)),
};

/** The reward that a source names. What it says of a candidate may depend on that candidate only, unless the source compares. */
export const opened = (source: RewardSource, loaded: Loaded): Reward =>
  (kinds[source.kind] as Opener<RewardSource>)(source, loaded);

interface Asking {
  readonly loaded: Loaded;
  /** What its scores are remembered under; null: they are not. */
  readonly source: RewardSource | null;
}

/** What is told of each token is not kept: the cache holds a number a text. */
const remembered = <S extends RewardSource & { readonly tell?: string }>(source: S): S | null =>
  source.tell === undefined ? source : null;

/** A reward that asks language models, waited for as long as the least patient of them. */
function asking(
  by: readonly ReadBy[],
  { loaded, source }: Asking,
  make: (readers: readonly Reader[]) => Reward,
): Reward {
  const readers = by.map(({ model }) => known(loaded.readers, model));
  const key = JSON.stringify(source);
  const reward = make(readers);
  const readings = by.map(({ reading }) => reading);
  const whole = source === null ? reward : cached(reward, loaded.cache, { key, readings });
  return timed(whole, Math.min(...readers.map(({ timeoutMs }) => timeoutMs)));
}

function known<T>(loaded: ReadonlyMap<string, T>, name: string): T {
  const found = loaded.get(name);
  if (found === undefined) throw new Error(`the plan names ${name}, which is not loaded`);
  return found;
}
