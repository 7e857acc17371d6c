/** Questions to the policy about a branch: no law is mixed and no token drawn, a row's logits say it all. */

import { softmax } from '../core/math.ts';
import type { Reals } from '../core/model.ts';
import { end, type Job } from './job.ts';

/** Tells a job the odds of its labels among each other, and ends it. */
export function tell(job: Job, logits: Reals): void {
  job.odds = softmax(job.labels!.map((label) => logits[label]!));
  end(job);
}
