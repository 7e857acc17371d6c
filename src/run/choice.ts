/** One choice of a request, start to end: tree to strategy to events. Leaving a scope frees every branch. */

import { BudgetSpent, type Budget } from '../core/budget.ts';
import type { Session, Spent } from '../core/engine.ts';
import type { CandidateReport, ChoiceReport, StreamEvent } from '../core/events.ts';
import { abstains } from '../core/reward.ts';
import type { RewardPlan } from '../core/reward.ts';
import type { Peak } from '../core/strategy.ts';
import type { Branch } from '../core/tree.ts';
import type { Plan, PlanPrompt } from '../plan/plan.ts';
import { strategies } from '../strategies/index.ts';
import { bestSoFar } from './best_so_far.ts';
import { Calls } from './calls.ts';
import { Chronicle } from './chronicle.ts';
import { Commit } from './commit.ts';
import { Judge } from './judge.ts';
import type { Accounted, Running } from './run.ts';
import { Values } from './values.ts';

export interface Choice {
  readonly prompt: PlanPrompt;
  /** Which of its prompt's trees it is, and which of all the request's choices. */
  readonly tree: number;
  readonly index: number;
}

/** What a search came to: candidates, the answer first, and the budget that cut it short. */
interface Outcome {
  readonly ranked: readonly Branch[];
  readonly exhausted: Budget | null;
}

/** What the answers of a tree are made by. */
interface Parts {
  readonly session: Session;
  readonly judge: Judge;
  /** One for each answer. */
  readonly commits: readonly Commit[];
  readonly chronicle: Chronicle;
}

/** Who judged, and what it took. */
interface Costs {
  readonly values: Values;
  readonly calls: Calls;
}

/** Rejects with what the choice failed with, or the signal's reason; a spent budget is no failure. */
export async function runChoice(plan: Plan, choice: Choice, running: Accounted): Promise<void> {
  const { engine, signal, rewardOf, onBug, emit } = running;
  const { prompt, tree, index } = choice;
  const calls = new Calls();
  const judging = {
    ...running,
    rewardOf: (asked: RewardPlan) => rewardOf(asked, calls.told, signal),
  };
  const values = new Values(plan.values, judging, prompt);
  const opening = {
    ...plan.opening,
    lanes: prompt.lanes,
    choice: tree,
    peak: peakOf(plan),
    bend: values.bend,
  };
  const reward = plan.reward === null ? null : judging.rewardOf(plan.reward);
  const first = index * plan.answers;
  const chronicle = new Chronicle(first, plan.drafts ? emit : null);
  const onScored = chronicle.scored.bind(chronicle);
  const judge = new Judge({ reward, prompt, signal, onScored, onBug });
  const finish = (outcome: Outcome, spent: Spent): void => {
    const whole = reportOf(plan, outcome, spent, { judge, chronicle, values, calls });
    for (let rank = 0; rank < plan.answers; rank++) {
      const branch = outcome.ranked[rank];
      const report = rank === 0 ? whole : shareOf(whole, branch);
      emit({ kind: 'finish', choice: first + rank, reason: branch?.finish ?? 'length', report });
    }
  };
  try {
    await using session = await engine.open(opening, signal, running.accepted);
    using _spent = { [Symbol.dispose]: () => running.account(session.spent) };
    const commits = Array.from(
      { length: plan.answers },
      (_, rank) => new Commit(first + rank, opening.stops, plan.draws),
    );
    if (plan.stream && plan.answers === 1)
      session.watch((only) => send(emit, commits[0]!.frontier([only])));
    const outcome = await searched(plan, first, running, {
      session,
      judge,
      commits,
      chronicle,
    });
    commits.forEach((commit, rank) => {
      send(emit, commit.frontier(outcome.ranked.slice(rank, rank + 1)));
    });
    for (const branch of outcome.ranked.slice(0, plan.answers))
      chronicle.selected(branch, judge.scoreOf(branch));
    finish(outcome, session.spent);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    finish({ ranked: [], exhausted: error.budget }, { ...NOTHING, queueMs: plan.budgetMs ?? 0 });
  }
}

/** Where a budget can end the search, its width must not depend on traffic: what it had by then would show it. */
function peakOf({ strategy, params, opening: { budget, maxTokens } }: Plan): Peak {
  const peak = strategies[strategy]!.peak(params);
  return budget < peak.most * maxTokens ? { least: peak.least, most: peak.least } : peak;
}

async function searched(
  plan: Plan,
  first: number,
  { gate, signal, emit }: Running,
  { session, judge, commits, chronicle }: Parts,
): Promise<Outcome> {
  const tree = Object.assign(session, {
    score: judge.score.bind(judge),
    note: chronicle.note.bind(chronicle),
  });
  const search = strategies[plan.strategy]!.search(tree, plan.params);
  try {
    for (;;) {
      const behind = gate.pass(signal);
      if (behind !== null) await behind;
      const { done, value } = await search.next();
      if (done) return { ranked: value, exhausted: null };
      chronicle.kept(value);
      judge.kept(value);
      session.keep(value);
      for (const commit of commits) send(emit, commit.frontier(value));
      if (plan.drafts && value.length > 1)
        for (const { id, text } of value) emit({ kind: 'draft', choice: first, branch: id, text });
    }
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    return { ranked: await bestSoFar(session, judge), exhausted: error.budget };
  }
}

const send = (emit: Running['emit'], certain: StreamEvent | null): void =>
  void (certain !== null && emit(certain));

const NOTHING: Spent = {
  generatedTokens: 0,
  guideTokens: 0,
  askedTokens: 0,
  cachedTokens: 0,
  queueMs: 0,
  prefillMs: 0,
};

function reportOf(
  plan: Plan,
  { ranked, exhausted }: Outcome,
  spent: Spent,
  { judge, chronicle, values, calls }: Pick<Parts, 'judge' | 'chronicle'> & Costs,
): ChoiceReport {
  const best = ranked[0];
  const pruning = strategies[plan.strategy]!.prunes?.(plan.params) ?? false;
  const candidates = judge.report(ranked, plan.answers, pruning ? chronicle.gone : []);
  const judged = candidates.filter(({ prunedAt, score }) => prunedAt === null && score !== null);
  const kept = new Set(ranked.flatMap(({ draws }) => draws)).size; // twins share the draws of their past
  return {
    ...spent,
    completionTokens: best?.tokens.length ?? 0,
    prunedTokens: Math.max(0, spent.generatedTokens - kept),
    rewardTokens: judge.tokens + values.tokens + spent.askedTokens,
    savedTokens: pruning && exhausted === null ? saved(ranked, candidates) : 0,
    kl: best === undefined ? 0 : best.logprob - best.base,
    exhausted,
    search: chronicle.report,
    candidates,
    evaluations: calls.kept,
    abstained: plan.reward?.ensemble ? abstains(judged, plan.reward.ensemble) : false,
  };
}

/** Another answer of the same tree, whose cost is told with the first; undefined: the budget left none. */
const shareOf = (whole: ChoiceReport, branch: Branch | undefined): ChoiceReport => ({
  ...whole,
  completionTokens: branch?.tokens.length ?? 0,
  generatedTokens: 0,
  prunedTokens: 0,
  rewardTokens: 0,
  savedTokens: 0,
  guideTokens: 0,
  kl: branch === undefined ? 0 : branch.logprob - branch.base,
  candidates: [],
  evaluations: [],
});

/** An estimate: each pruned candidate would have become as long as those that were finished are on average. */
function saved(ranked: readonly Branch[], candidates: readonly CandidateReport[]): number {
  const length = ranked.reduce((sum, { tokens }) => sum + tokens.length, 0) / ranked.length;
  const left = candidates.map(({ prunedAt }) => Math.max(0, length - (prunedAt ?? Infinity)));
  return Math.round(left.reduce((sum, tokens) => sum + tokens, 0));
}
