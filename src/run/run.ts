/** One request, start to end: plan to trees to strategy to events. Leaving a scope frees every branch. */

import { setMaxListeners } from 'node:events';
import type { Engine, Opening, Session } from '../core/engine.ts';
import { toFailure } from '../core/errors.ts';
import type { CandidateReport, ChoiceReport, StreamEvent } from '../core/events.ts';
import type { Reward, RewardPlan } from '../core/reward.ts';
import type { Branch } from '../core/tree.ts';
import type { Plan, PlanPrompt } from '../plan/plan.ts';
import { strategies } from '../strategies/index.ts';
import { Commit } from './commit.ts';
import type { Gate } from './gate.ts';
import { Judge } from './judge.ts';

export interface Running {
  readonly engine: Engine;
  /** Composes what the plan asks for from the rewards that are loaded. */
  readonly rewardOf: (plan: RewardPlan) => Reward;
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
  const failed = new AbortController();
  const signal = AbortSignal.any([running.signal, failed.signal]);
  setMaxListeners(0, signal); // each choice listens
  const trees = choices.map(async ({ prompt, choice }, index) => {
    try {
      const opening = { ...plan.opening, lanes: prompt.lanes, choice };
      for await (const event of runTree(plan, prompt, opening, index, { ...running, signal }))
        running.emit(event);
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(trees);
  if (running.signal.aborted) return running.emit({ kind: 'end', cancelled: true });
  if (results.every(({ status }) => status === 'fulfilled'))
    return running.emit({ kind: 'end', cancelled: false });
  const error: unknown = failed.signal.reason;
  const failure = toFailure(error);
  if (failure.code === 'internal_error') running.onBug(error);
  running.emit({ kind: 'failed', failure });
}

async function* runTree(
  plan: Plan,
  prompt: PlanPrompt,
  opening: Omit<Opening, 'peak'>,
  index: number,
  { engine, gate, signal, rewardOf, onBug }: Running,
): AsyncGenerator<StreamEvent> {
  const strategy = strategies[plan.strategy]!;
  await using session = await engine.open({ ...opening, peak: strategy.peak(plan.params) }, signal);
  const commit = new Commit(index, opening.stops, plan.draws);
  const reward = plan.reward === null ? null : rewardOf(plan.reward);
  const judge = new Judge({ reward, prompt, signal, onBug });
  const tree = Object.assign(session, { score: judge.score.bind(judge) });
  const search = strategy.search(tree, plan.params);
  for (;;) {
    await gate.pass(signal);
    const { done, value } = await search.next();
    if (!done) session.keep(value);
    const certain = commit.frontier(done ? value.slice(0, 1) : value);
    if (certain !== null) yield certain;
    if (!done && plan.drafts && value.length > 1) yield* drafts(value, index);
    if (done) return yield finish(plan, value, session, judge, index);
  }
}

function* drafts(branches: readonly Branch[], choice: number): Generator<StreamEvent> {
  for (const { id, text } of branches) yield { kind: 'draft', choice, branch: id, text };
}

function finish(
  plan: Plan,
  ranked: readonly Branch[],
  session: Session,
  judge: Judge,
  choice: number,
): StreamEvent {
  const best = ranked[0]!;
  const { spent } = session;
  const candidates = judge.report(ranked);
  const kept = new Set(ranked.flatMap(({ draws }) => draws)).size; // twins share the draws of their past
  const report: ChoiceReport = {
    ...spent,
    completionTokens: best.tokens.length,
    prunedTokens: Math.max(0, spent.generatedTokens - kept),
    rewardTokens: judge.tokens,
    savedTokens: strategies[plan.strategy]!.prunes?.(plan.params) ? saved(ranked, candidates) : 0,
    kl: best.logprob - best.base,
    candidates,
  };
  return { kind: 'finish', choice, reason: best.finish ?? 'length', report };
}

/** An estimate: each pruned candidate would have become as long as those that were finished are on average. */
function saved(ranked: readonly Branch[], candidates: readonly CandidateReport[]): number {
  const length = ranked.reduce((sum, { tokens }) => sum + tokens.length, 0) / ranked.length;
  const left = candidates.map(({ prunedAt }) => Math.max(0, length - (prunedAt ?? Infinity)));
  return Math.round(left.reduce((sum, tokens) => sum + tokens, 0));
}
