/** What waits for iterations: a branch to be advanced, and the law it is to be advanced under. */

import type { Opening } from '../core/engine.ts';
import type { Guidance, LaneWeights } from '../core/guide.ts';
import type { Reals, Steering } from '../core/model.ts';
import type { RuleState } from '../core/rule.ts';
import type { Branch, Draw, Peeked, Reach, Sampling, Token } from '../core/tree.ts';
import type { Hypothesis, Limit } from './branch.ts';
import type { SlotPool } from './slots.ts';
import type { Waiter } from './waiter.ts';

/** The open tree of a session: what its branches share. */
export interface OpenTree {
  readonly opening: Opening;
  readonly limit: Limit;
  /** Where every answer starts; null: nothing rules. */
  readonly rule: RuleState | null;
  /** By lane. */
  readonly pools: readonly SlotPool[];
  /** Of lane 0. */
  readonly steering: Steering;
  /** By lane: model, salt and steering, the space its prompt is cached in. */
  readonly spaces: readonly string[];
  /** By lane: equal for equal prompts in one space. */
  readonly keys: readonly string[];
  /** By lane: logits after the prompt, once it has been read. */
  readonly heads: (Reals | null)[];
  readonly branches: Set<Hypothesis>;
  readonly signal: AbortSignal;
  /** Told of each token that the only branch takes. */
  grown: ((only: Branch) => void) | null;
  /** Told when the signal aborts. */
  readonly waits: Set<Waiter>;
  readonly law: Law;
  readonly spent: Counters;
  readonly openedAt: number;
}

/** The mutable side of Spent. */
interface Counters {
  generatedTokens: number;
  guideTokens: number;
  askedTokens: number;
  cachedTokens: number;
  queueMs: number;
  prefillMs: number;
}

/** A guided law over the lanes that take part in it. */
export interface Law {
  readonly guidance: Guidance;
  /** Lanes with a weight, the policy first. */
  readonly lanes: readonly number[];
  /** One per entry of `lanes`, as are the widths of their logits. */
  readonly weights: Float64Array;
  readonly widths: readonly number[];
  /** Nats below the policy's likeliest token at which the tail leaves its tokens out, a negative number; null: it leaves none out. */
  readonly cut: number | null;
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
  readonly until: NonNullable<Reach['until']> | null;
  /** Text length when the job began. */
  readonly from: number;
  /** Tokens still to draw; 0 for a peek, and once the job has come to an end. */
  wanted: number;
  /** How many of them before whoever waits is told. */
  left: number;
  /** Tokens drawn by this job. */
  drawn: number;
  readonly peek: number;
  /** What a peek was shown. */
  shown: readonly Peeked[];
  /** Tokens whose odds among each other are read instead of drawing any; null for all other jobs. */
  readonly labels: readonly Token[] | null;
  odds: readonly number[];
  waiter: Waiter;
}

/**
 * Which lanes a guidance needs, and their weights. A lane without weight is skipped: its model does not run.
 * @param ruled a rule holds: what is implausible is then decided among what it allows (ruled.ts)
 */
export function lawOf(
  guidance: Guidance,
  pools: readonly SlotPool[],
  laneWeights: LaneWeights,
  ruled: boolean,
): Law {
  const all = laneWeights(guidance, pools.length, 1, null);
  const used = [...all.keys()].filter((lane) => lane === 0 || all[lane] !== 0);
  const widths = used.map((lane) => pools[lane]!.model.width);
  const cut = ruled || guidance.plausibility === 0 ? null : Math.log(guidance.plausibility);
  return {
    guidance,
    lanes: used,
    weights: Float64Array.from(used, (lane) => all[lane]!),
    widths,
    cut,
    shape: `${widths.join()}${cut === null ? '' : ' cut'}`,
    conditional:
      used.length > 1 &&
      (guidance.maxKl !== null || guidance.uses.some((use) => use.entropyAbove !== null)),
  };
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
  job.wanted--;
  job.drawn++;
  if (tree.branches.size === 1 && !tellFollower(job)) return;
  if (branch.finish !== null || isPaused(job)) end(job);
  else if (job.left === 0) job.waiter.done();
}

/** Tells whoever follows of the only branch's token. One that throws fails its own tree, not the loop: false. */
function tellFollower(job: Job): boolean {
  try {
    job.tree.grown?.(job.branch);
    return true;
  } catch (error) {
    job.left = job.wanted = 0;
    job.waiter.fail(error as Error);
    return false;
  }
}

/** Nothing more is drawn for the job, whatever it asked for. */
export function end(job: Job): void {
  job.left = job.wanted = 0;
  job.waiter.done();
}

/** A segment ends before a token whose entropy reaches the bound, if it has its least length. */
export const isBoundary = (
  { until, drawn }: Pick<Job, 'until' | 'drawn'>,
  entropy: number,
): boolean =>
  until !== null && 'entropy' in until && drawn >= (until.least ?? 1) && entropy >= until.entropy;

/** A segment ends with a token that completes one of its texts. */
const isPaused = ({ until, branch, from }: Job): boolean =>
  until !== null && 'text' in until && branch.contains(until.text, from);

/** Whether the row may be drawn from as mixed: no mask applies, and the KL is within its bound. */
export function stands(
  { law: { guidance } }: Pick<Job, 'law'>,
  kl: number,
  entropy: number,
): boolean {
  const masked = guidance.uses.some(
    (use) => use.entropyAbove !== null && entropy <= use.entropyAbove,
  );
  return !masked && (guidance.maxKl === null || kl <= guidance.maxKl);
}
