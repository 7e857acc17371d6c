/** Questions to the policy about a branch: no law is mixed and no token drawn, a row's logits say it all. */

import type { Reals } from '../core/model.ts';
import { end, type Job } from './job.ts';

/** Tells a job the odds of its labels among each other, and ends it. */
export function tell(job: Job, logits: Reals): void {
  const said = job.labels!.map((label) => logits[label]!);
  const most = Math.max(...said);
  const weights = said.map((x) => Math.exp(x - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  job.odds = weights.map((weight) => weight / total);
  end(job);
}
