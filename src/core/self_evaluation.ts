/** What a policy says of its own answer when it is asked whether it would do better by starting over (Manvi et al. 2024). */

import { logit, sigmoid } from './math.ts';
import type { Calibration } from './reward.ts';
import type { Token } from './tree.ts';

export interface SelfQuestion {
  /** What follows the answer, up to where the policy speaks. */
  readonly asks: readonly Token[];
  /** No, it would not; and yes. */
  readonly labels: readonly [no: Token, yes: Token];
  /** Null: it is taken at its word. */
  readonly calibration: Calibration | null;
}

/** sigmoid(scale * logit(p) + shift): p comes true as often as it says then. */
export const calibrated = (p: number, { scale, shift }: Calibration): number =>
  sigmoid(scale * logit(p) + shift);
