/** What waits for iterations: a branch to be advanced, and the law it is to be advanced under. */

import type { Opening } from '../core/engine.ts';
import type { Guidance, LaneWeights } from '../core/guide.ts';
import type { Reals } from '../core/model.ts';
import type { RuleState } from '../core/rule.ts';
import type { Draw, Peeked, Reach, Sampling, Token } from '../core/tree.ts';
import type { Hypothesis, Limit } from './branch.ts';
import type { SlotPool } from './slots.ts';

/** The open tree of a session: what its branches share. */
export interface OpenTree {
  readonly opening: Opening;
  readonly limit: Limit;
  /** Where every answer starts; null: nothing rules. */
  readonly rule: RuleState | null;
  /** By lane. */
  readonly pools: readonly SlotPool[];
  /** By lane: model and salt, the space its prompt is cached in. */
  readonly spaces: readonly string[];
  /** By lane: equal for equal prompts in one space. */
  readonly keys: readonly string[];
  /** By lane: logits after the prompt, once it has been read. */
  readonly heads: (Reals | null)[];
  readonly branches: Set<Hypothesis>;
  readonly signal: AbortSignal;
  /** Whoever waits for this tree's jobs is told when the signal aborts. */
  readonly waits: Set<(error: Error) => void>;
  readonly law: Law;
  readonly spent: Counters;
  readonly openedAt: number;
}

/** The mutable side of Spent. */
export interface Counters {
  generatedTokens: number;
  guideTokens: number;
  askedTokens: number;
  cachedTokens: number;
  queueMs: number;
  prefillMs: number;
}

/** A job before anybody waits for it. */
export type Asked = Omit<Job, 'done' | 'fail'>;

/** A guided law over the lanes that take part in it. */
export interface Law {
  readonly guidance: Guidance;
  /** Lanes with a weight, the policy first. */
  readonly lanes: readonly number[];
  /** One per entry of `lanes`, as are the widths of their logits. */
  readonly weights: Float64Array;
  readonly widths: readonly number[];
  /** Equal for laws that one run of a tail can serve. */
  readonly shape: string;
  /** Weights depend on the row itself: a KL bound, or an entropy mask. */
  readonly conditional: boolean;
}

export interface Job {
  readonly tree: OpenTree;
  readonly branch: Hypothesis;
  readonly law: Law;
  readonly sampling: Sampling;
  readonly until: Reach['until'] | null;
  /** Text length when the job began. */
  readonly from: number;
  /** Tokens still to draw; 0 for a peek. */
  left: number;
  /** Tokens drawn by this job. */
  drawn: number;
  readonly peek: number;
  /** Tokens whose odds among them are told instead of drawing any; null for all other jobs. */
  readonly ask: {
    readonly labels: readonly Token[];
    readonly told: (odds: number[]) => void;
  } | null;
  readonly done: (top: readonly Peeked[]) => void;
  /** Ends the wait of whoever asked, and all other jobs of the same call. */
  readonly fail: (error: Error) => void;
}

/** Which lanes a guidance needs, and their weights. A lane without weight is skipped: its model does not run. */
export function lawOf(
  guidance: Guidance,
  pools: readonly SlotPool[],
  laneWeights: LaneWeights,
): Law {
  const all = laneWeights(guidance, pools.length, 1, null);
  const used = [...all.keys()].filter((lane) => lane === 0 || all[lane] !== 0);
  const widths = used.map((lane) => pools[lane]!.model.width);
  return {
    guidance,
    lanes: used,
    weights: Float64Array.from(used, (lane) => all[lane]!),
    widths,
    shape: widths.join(),
    conditional:
      used.length > 1 &&
      (guidance.maxKl !== null || guidance.uses.some((use) => use.entropyAbove !== null)),
  };
}

/** What a job still asks for that was granted fewer tokens than it asked for; null if it ended before, or in their place. */
export function remainder(asked: Asked, granted: number, job: Asked): Asked | null {
  const ended = job.drawn - asked.drawn < granted || job.branch.finish !== null || isPaused(job);
  return ended || granted === asked.left ? null : { ...job, left: asked.left - granted };
}

/** Length of a lane's sequence: its prompt and the branch's tokens. */
export const target = (job: Job, lane: number): number =>
  job.tree.opening.lanes[lane]!.prompt.length + job.branch.tokens.length;

/** The branch takes a token; the job ends with it, or goes on. */
export function take(job: Job, draw: Draw, logZ: number): void {
  const { branch, tree } = job;
  branch.append(draw, logZ, tree.limit);
  tree.spent.generatedTokens++;
  job.left--;
  job.drawn++;
  if (branch.finish !== null || isPaused(job)) job.left = 0;
  if (job.left === 0) job.done(NO_TOKENS);
}

const NO_TOKENS: readonly never[] = [];

/** A segment ends before a token whose entropy reaches the bound, if it has its least length. */
export const isBoundary = (
  { until, drawn }: Pick<Job, 'until' | 'drawn'>,
  entropy: number,
): boolean =>
  until !== null &&
  until !== undefined &&
  'entropy' in until &&
  drawn >= (until.least ?? 1) &&
  entropy >= until.entropy;

/** A segment ends with a token that completes one of its texts. */
export const isPaused = ({ until, branch, from }: Asked): boolean =>
  until !== null && until !== undefined && 'text' in until && branch.contains(until.text, from);

/** Whether the row may be drawn from as mixed: no mask applies, and the KL is within its bound. */
export function stands({ law: { guidance } }: Job, kl: number, entropy: number): boolean {
  const masked = guidance.uses.some(
    (use) => use.entropyAbove !== null && entropy <= use.entropyAbove,
  );
  return !masked && (guidance.maxKl === null || kl <= guidance.maxKl);
}
