/** From what a request asks to one Reward: members capped, normalised, transformed; then their ensemble or sum; then length; then constraints. */

import type { Reward, RewardPlan, RewardUse } from '../core/reward.ts';
import { constrained } from './constraints.ts';
import { ensemble, weightedSum } from './ensemble.ts';
import { lengthRuled } from './length.ts';
import { capped, normalised, transformed } from './transforms.ts';

/** @param models every reward model that the plan names */
export function rewardOf(plan: RewardPlan, models: ReadonlyMap<string, Reward>): Reward {
  const named = (name: string): Reward => {
    const model = models.get(name);
    if (model === undefined) throw new Error(`the plan names reward ${name}, which is not loaded`);
    return model;
  };
  const members = plan.uses.map((use) => ({
    reward: memberOf(use, named(use.model)),
    weight: use.weight,
  }));
  let reward = plan.ensemble === null ? weightedSum(members) : ensemble(members, plan.ensemble);
  if (plan.length !== null) reward = lengthRuled(reward, plan.length);
  if (plan.constraints.length === 0) return reward;
  return constrained(
    reward,
    plan.constraints.map((bound) => ({ ...bound, reward: named(bound.model) })),
  );
}

function memberOf({ cap, scale, transform }: RewardUse, model: Reward): Reward {
  let reward = model;
  if (cap !== null) reward = capped(reward, cap);
  if (scale !== null) reward = normalised(reward, scale);
  if (transform !== null) reward = transformed(reward, transform);
  return reward;
}
