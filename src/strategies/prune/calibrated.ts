/**
 * Speculative rejection by a schedule that was measured: which share alpha of the growing answers is given up at which
 * length. A reward's manifest stores schedules, each with the share of best-of-n's gain that it loses on prompts that a fit
 * has not seen, and what that share is at most with 95 % certainty. Of those for which that is within `loss` the one that
 * saves the most is kept to. Where there is none, nothing is given up, and the response says why.
 */

import { either, number, read, strict } from '../../core/fields.ts';
import type { Schedule } from '../../core/strategy.ts';
import { surviving } from './speculative_rejection.ts';
import type { PruneRule } from './rule.ts';

interface Calibrated {
  /** Null: nothing is given up. */
  readonly schedule: Schedule | null;
  readonly refused: string | null;
}

const fields = strict({ loss: either(number(0, 1), 0.02) });

export const calibrated: PruneRule<Calibrated> = {
  fields,
  parse(raw, { n, schedules }) {
    const { loss } = read(fields, raw);
    const measured = ofSize(schedules?.() ?? [], n);
    const safe = measured.filter(({ most }) => most <= loss);
    const [schedule = null] = safe.toSorted((a, b) => b.saved - a.saved);
    return { schedule, refused: schedule === null ? refusal(measured, n, loss) : null };
  },
  needs: 'prefix',
  together: true,
  points: ({ schedule }) => schedule?.alphas.map(({ at }) => at) ?? [],
  decide:
    ({ schedule }) =>
    async ({ growing, score }) => {
      const { alpha } = schedule!.alphas.find(({ at }) => at === growing[0]!.tokens.length)!;
      return surviving(growing, await score(growing), alpha);
    },
  remarks: ({ schedule, refused }) => ({ pruning: { ...schedule, refused } }),
};

/** Of the largest n that is not larger than this: the same shares of more answers leave more of the good ones. */
function ofSize(schedules: readonly Schedule[], n: number): Schedule[] {
  const size = Math.max(...schedules.map((one) => one.n).filter((measured) => measured <= n));
  return schedules.filter((one) => one.n === size);
}

function refusal(measured: readonly Schedule[], n: number, loss: number): string {
  if (measured.length === 0) return `nothing was measured of pruning ${n} answers by this reward`;
  const least = Math.min(...measured.map(({ most }) => most));
  return `the most careful schedule that was measured may lose ${least} of the gain, and ${loss} is allowed`;
}
