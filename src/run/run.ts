/** One request, start to end: plan to trees to strategy to events. Leaving a scope frees every branch. */

import { setMaxListeners } from 'node:events';
import type { Engine, Session } from '../core/engine.ts';
import { toFailure } from '../core/errors.ts';
import type { CandidateReport, ChoiceReport, StreamEvent } from '../core/events.ts';
import { abstains } from '../core/reward.ts';
import type { Evaluation, Reward, RewardPlan } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { Plan, PlanPrompt } from '../plan/plan.ts';
import { strategies } from '../strategies/index.ts';
import { Calls } from './calls.ts';
import { Commit } from './commit.ts';
import type { Gate } from './gate.ts';
import { Judge } from './judge.ts';

export interface Running {
  readonly engine: Engine;
  /** Composes what the plan asks for from the rewards that are loaded. */
  readonly rewardOf: (plan: RewardPlan, told: (call: Evaluation) => void) => Reward;
  readonly gate: Gate;
  readonly signal: AbortSignal;
  readonly emit: (event: StreamEvent) => void;
  /** Of a bug: clients see only an internal error. */
  readonly onBug: (error: unknown) => void;
}

/** Runs all choices of a plan together; the last event is `end` or `failed`. Never rejects. */
export async function run(plan: Plan, running: Running): Promise<void> {
  const choices = plan.prompts.flatMap((prompt) =>
    Array.from({ length: plan.n }, (_, choice) => ({ prompt, choice })),
  );
  // One signal for all choices: the request's abort, or the first failure of one of them.
  const failed = new AbortController();
  const { signal } = failed;
  setMaxListeners(0, signal); // each choice listens
  const abort = (): void => failed.abort(running.signal.reason);
  if (running.signal.aborted) abort();
  running.signal.addEventListener('abort', abort);
  const trees = choices.map(async ({ prompt, choice }, index) => {
    try {
      await runTree(plan, { prompt, choice }, index, { ...running, signal });
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(trees);
  running.signal.removeEventListener('abort', abort);
  if (running.signal.aborted) return running.emit({ kind: 'end', cancelled: true });
  if (results.every(({ status }) => status === 'fulfilled'))
    return running.emit({ kind: 'end', cancelled: false });
  const error: unknown = failed.signal.reason;
  const failure = toFailure(error);
  if (failure.code === 'internal_error') running.onBug(error);
  running.emit({ kind: 'failed', failure });
}

async function runTree(
  plan: Plan,
  { prompt, choice }: { readonly prompt: PlanPrompt; readonly choice: number },
  index: number,
  { engine, gate, signal, emit, rewardOf, onBug }: Running,
): Promise<void> {
  const strategy = strategies[plan.strategy]!;
  const peak = strategy.peak(plan.params);
  const opening = { ...plan.opening, lanes: prompt.lanes, choice, peak };
  await using session = await engine.open(opening, signal);
  const first = index * plan.answers;
  const commits = Array.from(
    { length: plan.answers },
    (_, rank) => new Commit(first + rank, opening.stops, plan.draws),
  );
  const calls = new Calls();
  const reward = plan.reward === null ? null : rewardOf(plan.reward, calls.told);
  const judge = new Judge({ reward, prompt, signal, onBug });
  const tree = Object.assign(session, { score: judge.score.bind(judge) });
  const search = strategy.search(tree, plan.params);
  for (;;) {
    const behind = gate.pass(signal);
    if (behind !== null) await behind;
    const { done, value } = await search.next();
    if (!done) session.keep(value);
    commits.forEach((commit, rank) => {
      const certain = commit.frontier(done ? value.slice(rank, rank + 1) : value);
      if (certain !== null) emit(certain);
    });
    if (done) {
      const whole = reportOf(plan, value, { session, judge, calls });
      return value.slice(0, plan.answers).forEach((branch, rank) => {
        const report = rank === 0 ? whole : shareOf(whole, branch);
        emit({ kind: 'finish', choice: first + rank, reason: branch.finish ?? 'length', report });
      });
    }
    if (plan.drafts && value.length > 1)
      for (const { id, text } of value) emit({ kind: 'draft', choice: first, branch: id, text });
  }
}

interface Search {
  readonly session: Session;
  readonly judge: Judge;
  readonly calls: Calls;
}

/** What the tree cost, and its best answer. */
function reportOf(
  plan: Plan,
  ranked: readonly Branch[],
  { session, judge, calls }: Search,
): ChoiceReport {
  const best = ranked[0]!;
  const { spent } = session;
  const candidates = judge.report(ranked, plan.answers);
  const kept = new Set(ranked.flatMap(({ draws }) => draws)).size; // twins share the draws of their past
  const left = candidates.filter(({ prunedAt, score }) => prunedAt === null && score !== null);
  return {
    ...spent,
    completionTokens: best.tokens.length,
    prunedTokens: Math.max(0, spent.generatedTokens - kept),
    rewardTokens: judge.tokens,
    savedTokens: strategies[plan.strategy]!.prunes?.(plan.params) ? saved(ranked, candidates) : 0,
    kl: best.logprob - best.base,
    candidates,
    evaluations: calls.kept,
    abstained: plan.reward?.ensemble ? abstains(left, plan.reward.ensemble) : false,
  };
}

/** Another answer of the same tree, whose cost is told with the first. */
const shareOf = (whole: ChoiceReport, { tokens, logprob, base }: Branch): ChoiceReport => ({
  ...whole,
  completionTokens: tokens.length,
  generatedTokens: 0,
  prunedTokens: 0,
  rewardTokens: 0,
  savedTokens: 0,
  guideTokens: 0,
  kl: logprob - base,
  candidates: [],
  evaluations: [],
});

/** An estimate: each pruned candidate would have become as long as those that were finished are on average. */
function saved(ranked: readonly Branch[], candidates: readonly CandidateReport[]): number {
  const length = ranked.reduce((sum, { tokens }) => sum + tokens.length, 0) / ranked.length;
  const left = candidates.map(({ prunedAt }) => Math.max(0, length - (prunedAt ?? Infinity)));
  return Math.round(left.reduce((sum, tokens) => sum + tokens, 0));
}
