/** From what a request asks to one Reward: members capped, normalised, transformed; then combined; then length; then constraints. */

import type { Evaluation, Reward, RewardPlan, RewardUse } from '../core/reward.ts';
import { constrained } from './constraints.ts';
import { ensemble, weightedSum } from './ensemble.ts';
import type { Member } from './ensemble.ts';
import { lagrangian } from './lagrange.ts';
import { lengthRuled } from './length.ts';
import { memberOf } from './member.ts';
import { opened } from './sources.ts';
import type { Loaded } from './sources.ts';
import { stepped } from './steps.ts';
import { capped, normalised, transformed } from './transforms.ts';

/**
 * @param loaded everything that the plan's sources name
 * @param told of each call of a member
 * @param signal of the request that asks: once it aborts, nothing more is read for it
 */
export function rewardOf(
  plan: RewardPlan,
  loaded: Loaded,
  told: (evaluation: Evaluation) => void,
  signal?: AbortSignal,
): Reward {
  const raw = new Map(
    plan.uses.map(({ id, source, steps }) => {
      const reward = opened(source, loaded);
      const whole = steps === null ? reward : stepped(id, reward, steps);
      return [id, memberOf(id, whole, { now: loaded.now, told, signal })];
    }),
  );
  const uses = plan.uses.filter(({ weight }) => weight !== 0);
  let reward = combined(plan, uses, raw);
  if (plan.length !== null) reward = lengthRuled(reward, plan.length);
  if (plan.constraints.length === 0) return reward;
  return constrained(
    reward,
    plan.constraints.map((bound) => ({ ...bound, reward: raw.get(bound.member)! })),
  );
}

function combined(
  { ensemble: how, lagrange }: RewardPlan,
  uses: readonly RewardUse[],
  raw: ReadonlyMap<string, Reward>,
): Reward {
  const member = (use: RewardUse): Member => ({
    reward: measured(use, raw.get(use.id)!),
    weight: use.weight,
  });
  if (lagrange !== null)
    return lagrangian(
      uses.map((use) => ({ ...member({ ...use, cap: null }), theta: use.cap })),
      lagrange,
    );
  if (how === null) return weightedSum(uses.map(member));
  const inside = ({ id }: RewardUse): boolean => how.members?.includes(id) ?? true;
  const together = ensemble(uses.filter(inside).map(member), how);
  const others = uses.filter((use) => !inside(use)).map(member);
  return others.length === 0 ? together : weightedSum([{ reward: together, weight: 1 }, ...others]);
}

function measured({ cap, scale, transform }: RewardUse, raw: Reward): Reward {
  let reward = raw;
  if (cap !== null) reward = capped(reward, cap);
  if (scale !== null) reward = normalised(reward, scale);
  if (transform !== null) reward = transformed(reward, transform);
  return reward;
}
