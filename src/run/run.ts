/** One request, start to end: its trees run together, and end together. */

import { setMaxListeners } from 'node:events';
import { BudgetSpent } from '../core/budget.ts';
import type { Engine, Session, Spent } from '../core/engine.ts';
import { toFailure } from '../core/errors.ts';
import type { StreamEvent } from '../core/events.ts';
import type { Evaluation, Reward, RewardPlan } from '../core/reward.ts';
import type { Plan } from '../plan/plan.ts';
import type { Gate } from './gate.ts';
import { runTree } from './tree.ts';

export interface Running {
  readonly engine: Engine;
  /** Composes what the plan asks for from the rewards that are loaded. */
  readonly rewardOf: (
    plan: RewardPlan,
    told: (call: Evaluation) => void,
    signal: AbortSignal,
  ) => Reward;
  readonly gate: Gate;
  readonly signal: AbortSignal;
  readonly emit: (event: StreamEvent) => void;
  /** Calls back after so many milliseconds, unless it is called off before. */
  readonly after: (ms: number, call: () => void) => () => void;
  /** Of a bug: clients see only an internal error. */
  readonly onBug: (error: unknown) => void;
}

export interface Accounted extends Running {
  /** Told once what a tree has cost, however it ended. */
  readonly account: (spent: Spent) => void;
  /** Told once the engine has taken a tree. */
  readonly accepted: () => void;
}

/** What the first call begins, and every further one waits for. */
function once<T, R>(begin: (by: T) => Promise<R>): (by: T) => Promise<R> {
  let begun: Promise<R> | null = null;
  return (by) => (begun ??= begin(by));
}

/** Runs all trees of a plan together; the last event is `end` or `failed`. Never rejects. */
export async function run(plan: Plan, running: Running): Promise<void> {
  const places = plan.prompts.flatMap((prompt, of) => {
    const readPrompt = once((session: Session) =>
      session.readPrompt((draws) => running.emit({ kind: 'prompt', prompt: of, draws })),
    );
    return Array.from({ length: plan.n }, (_, tree) => ({ prompt, tree, readPrompt }));
  });
  // One signal for all trees: the request's abort, the end of its time, or the first failure of one of them.
  const over = new AbortController();
  const { signal } = over;
  setMaxListeners(0, signal); // each tree listens
  const abort = (): void => over.abort(running.signal.reason);
  if (running.signal.aborted) abort();
  running.signal.addEventListener('abort', abort);
  const late = (): void => over.abort(new BudgetSpent('ms'));
  const inTime = plan.budgetMs === null ? null : running.after(plan.budgetMs, late);
  const failures: unknown[] = [];
  let spent = 0;
  const account = ({ generatedTokens, guideTokens }: Spent): void =>
    void (spent += generatedTokens + guideTokens);
  let waiting = places.length;
  const accepted = (): void => {
    if (--waiting === 0 && plan.stream) running.emit({ kind: 'accepted' });
  };
  const trees = places.map(async (place, index) => {
    try {
      await runTree(plan, { ...place, index }, { ...running, signal, account, accepted });
    } catch (error) {
      failures.push(error);
      over.abort(error);
    }
  });
  await Promise.all(trees);
  inTime?.();
  running.signal.removeEventListener('abort', abort);
  if (running.signal.aborted) return running.emit({ kind: 'end', cancelled: true, spent });
  if (failures.length === 0) return running.emit({ kind: 'end', cancelled: false, spent });
  const failure = toFailure(failures[0]);
  if (failure.code === 'internal_error') running.onBug(failures[0]);
  running.emit({ kind: 'failed', failure, spent });
}
