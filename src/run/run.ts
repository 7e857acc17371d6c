/** One request, start to end: plan to trees to strategy to events. Leaving a scope frees every branch. */

import { setMaxListeners } from 'node:events';
import type { Engine, Opening, Session } from '../core/engine.ts';
import { toFailure } from '../core/errors.ts';
import type { ChoiceReport, StreamEvent } from '../core/events.ts';
import type { Branch, Tree } from '../core/tree.ts';
import type { Plan } from '../plan/plan.ts';
import { strategies } from '../strategies/index.ts';
import { Commit } from './commit.ts';
import type { Gate } from './gate.ts';

export interface Running {
  readonly engine: Engine;
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
      const opening = { ...plan.opening, lanes: prompt.lanes, choice };
      await runTree(plan, opening, index, { ...running, signal });
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
  opening: Omit<Opening, 'peak'>,
  index: number,
  { engine, gate, signal, emit }: Running,
): Promise<void> {
  const strategy = strategies[plan.strategy]!;
  await using session = await engine.open({ ...opening, peak: strategy.peak(plan.params) }, signal);
  const commit = new Commit(index, opening.stops, plan.draws);
  const search = strategy.search(withScore(session), plan.params);
  for (;;) {
    const behind = gate.pass(signal);
    if (behind !== null) await behind;
    const { done, value } = await search.next();
    if (!done) session.keep(value);
    const certain = commit.frontier(done ? value.slice(0, 1) : value);
    if (certain !== null) emit(certain);
    if (done) return emit(finish(value, session, index));
    if (plan.drafts && value.length > 1)
      for (const { id, text } of value) emit({ kind: 'draft', choice: index, branch: id, text });
  }
}

function finish(ranked: readonly Branch[], session: Session, choice: number): StreamEvent {
  const best = ranked[0]!;
  const { spent } = session;
  const report: ChoiceReport = {
    ...spent,
    completionTokens: best.tokens.length,
    prunedTokens: spent.generatedTokens - best.tokens.length,
    rewardTokens: 0,
    savedTokens: 0,
    kl: best.logprob - best.base,
    candidates: ranked.map((branch, index) => ({
      index,
      score: null,
      parts: {},
      tokens: branch.tokens.length,
      status: index === 0 ? 'selected' : 'completed',
      prunedAt: null,
    })),
  };
  return { kind: 'finish', choice, reason: best.finish ?? 'length', report };
}

/** This version plans no rewards: a strategy that asks for one is a bug. */
function withScore(session: Session): Tree {
  return Object.assign(session, {
    score: () => Promise.reject(new Error('the plan has no reward')),
  });
}
