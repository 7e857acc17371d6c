/** Which rows one run of a tail serves. */

import type { Job } from './job.ts';

/** Tokens that a tail lists. Finding 32 of 2048 takes a fifth of the time of 64, and 2 draws in 1000 fall past them (docs/log.md). */
const [NARROW, WIDE] = [32, 64];

export interface Group {
  readonly jobs: Job[];
  readonly tempered: boolean;
  readonly top: number;
}

/** One tail run each: same lanes, tempering and list; freshly read rows apart, so that stepped rows stay in place. */
export function groupsOf(jobs: readonly Job[]): Group[] {
  const groups = new Map<string, Group>();
  for (const job of jobs) {
    const { temperature } = job.sampling;
    const tempered = temperature !== 0 && temperature !== 1;
    const fresh = job.branch.slots[0]!.head !== null;
    const top = listed(job);
    const key = `${job.law.shape} ${top}${tempered ? ' tempered' : ''}${fresh ? ' fresh' : ''}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { jobs: [job], tempered, top });
    else group.jobs.push(job);
  }
  for (const { jobs: rows } of groups.values())
    if (rows.some((job, i) => i > 0 && rowOf(job) < rowOf(rows[i - 1]!)))
      rows.sort((a, b) => rowOf(a) - rowOf(b));
  return [...groups.values()];
}

const rowOf = ({ branch }: Job): number => branch.slots[0]!.row;

/** How many of the likeliest tokens a job looks at: a function of its request alone, so that traffic cannot show. */
const listed = ({ peek, sampling, tree: { opening } }: Job): number =>
  listing(Math.max(peek, sampling.topK, opening.record.top, opening.bend?.k ?? 0));

/** How many tokens a tail lists where `n` of them are looked at. */
export const listing = (n: number): number => (n > NARROW ? WIDE : NARROW);
