/** From what a request asks to one Reward: members capped, normalised, transformed; then their ensemble or sum; then length; then constraints. */

import type { Reward, RewardPlan, RewardUse } from '../core/reward.ts';
import { constrained } from './constraints.ts';
import { ensemble, weightedSum } from './ensemble.ts';
import { lengthRuled } from './length.ts';
import { memberOf } from './member.ts';
import { opened } from './sources.ts';
import type { Loaded } from './sources.ts';
import { capped, normalised, transformed } from './transforms.ts';

/** @param loaded everything that the plan's sources name */
export function rewardOf(plan: RewardPlan, loaded: Loaded): Reward {
  const raw = new Map(
    plan.uses.map(({ id, source }) => [id, memberOf(id, opened(source, loaded))]),
  );
  const members = plan.uses
    .filter(({ weight }) => weight !== 0)
    .map((use) => ({ reward: measured(use, raw.get(use.id)!), weight: use.weight }));
  let reward = plan.ensemble === null ? weightedSum(members) : ensemble(members, plan.ensemble);
  if (plan.length !== null) reward = lengthRuled(reward, plan.length);
  if (plan.constraints.length === 0) return reward;
  return constrained(
    reward,
    plan.constraints.map((bound) => ({ ...bound, reward: raw.get(bound.member)! })),
  );
}

function measured({ cap, scale, transform }: RewardUse, raw: Reward): Reward {
  let reward = raw;
  if (cap !== null) reward = capped(reward, cap);
  if (scale !== null) reward = normalised(reward, scale);
  if (transform !== null) reward = transformed(reward, transform);
  return reward;
}
