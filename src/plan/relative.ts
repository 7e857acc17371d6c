/** What of a request's scores says nothing of a candidate by itself, but how it stands among those that are judged with it. */

import type { RewardUse } from '../core/reward.ts';
import type { Rewards } from './rewards.ts';

/** What is relative, and the path of the field that makes it so. */
interface Relative {
  readonly what: string;
  readonly at: string;
}

/** The first such part of a request's rewards; null: scores of different calls can be compared. */
export function relativePart({ plan, specs }: Rewards): Relative | null {
  for (const [i, use] of plan.uses.entries()) {
    const { relative, at } = specs[i]!;
    const scale = relativeScale(use);
    if (relative) return { what: `${use.id} compares them in pairs`, at };
    if (scale !== null && use.weight !== 0) return { what: `${use.id} is ${scale}`, at };
  }
  if (plan.lagrange !== null)
    return { what: 'multipliers follow their mean', at: 'alignment.lagrange' };
  if (plan.constraints.length > 0)
    return { what: 'those outside the bounds rank below the others', at: 'alignment.constraints' };
  return null;
}

/** How a member's scores are measured by those of the other candidates; null: they are not. */
export function relativeScale({
  scale,
  transform,
}: Pick<RewardUse, 'scale' | 'transform'>): string | null {
  if (scale === 'pool') return 'measured by their mean and deviation';
  if (scale === 'rank') return 'their rank';
  if (transform?.kind === 'win_rate') return 'how often it beats the others';
  if (transform?.kind === 'log_sigmoid' && typeof transform.reference !== 'number')
    return 'measured by a quantile of theirs';
  return null;
}
