/** Questions to the policy about a branch: no law is mixed and no token drawn, a row's logits say it all. */

import type { Reals } from '../core/model.ts';
import type { Job } from './job.ts';

/** Tells a job the odds of its labels among each other, and ends it. */
export function tell({ ask, done }: Job, logits: Reals): void {
  const said = ask!.labels.map((label) => logits[label]!);
  const most = Math.max(...said);
  const weights = said.map((x) => Math.exp(x - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  ask!.told(weights.map((weight) => weight / total));
  done([]);
}
