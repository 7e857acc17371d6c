/** One tree of a request, start to end: opened, searched by its strategy, told in events. Leaving a scope frees every branch. */

import { BudgetSpent, type Budget } from '../core/budget.ts';
import type { Session, Spent } from '../core/engine.ts';
import type { CandidateReport, ChoiceReport, StreamEvent } from '../core/events.ts';
import { sum } from '../core/math.ts';
import { abstains } from '../core/reward.ts';
import type { RewardPlan } from '../core/reward.ts';
import type { Peak } from '../core/strategy.ts';
import type { Branch } from '../core/tree.ts';
import type { Plan, PlanPrompt } from '../plan/plan.ts';
import { strategies } from '../strategies/index.ts';
import { noScore } from '../strategies/select.ts';
import { bestSoFar } from './best_so_far.ts';
import { Chronicle } from './chronicle.ts';
import { Commit } from './commit.ts';
import { Evaluations } from './evaluations.ts';
import type { Accounted, Running } from './run.ts';
import { Scores } from './scores.ts';
import { Values } from './values.ts';

/** Which tree: of which prompt, which of its trees, and which of all. */
interface Place {
  readonly prompt: PlanPrompt;
  readonly tree: number;
  readonly index: number;
  /** Reads the prompt out through one of its trees: resolves once all of it has been told. */
  readonly readPrompt: (session: Session) => Promise<void>;
}

/** What a search came to: candidates, the answer first, and the budget that cut it short. */
interface Outcome {
  readonly ranked: readonly Branch[];
  readonly exhausted: Budget | null;
}

/** Who watches a tree, and knows in the end how it went. */
interface Watch {
  readonly scores: Scores;
  readonly chronicle: Chronicle;
  readonly values: Values;
  readonly evaluations: Evaluations;
}

/** Rejects with what the tree failed with, or the signal's reason; a spent budget is no failure. */
export async function runTree(plan: Plan, place: Place, running: Accounted): Promise<void> {
  const { engine, signal, emit } = running;
  const first = place.index * plan.answers;
  const watch = watchOf(plan, place.prompt, first, running);
  const opening = {
    ...plan.opening,
    lanes: place.prompt.lanes,
    choice: place.tree,
    peak: peakOf(plan),
    bend: watch.values.bend,
  };
  try {
    await using session = await engine.open(opening, signal, running.accepted);
    using _spent = { [Symbol.dispose]: () => running.account(session.spent) };
    const commits = Array.from(
      { length: plan.answers },
      (_, rank) => new Commit(first + rank, opening.stops, plan.draws),
    );
    if (plan.stream && plan.answers === 1)
      session.follow((only) => send(emit, commits[0]!.frontier([only])));
    if (plan.readsPrompts) await place.readPrompt(session);
    const outcome = await searched(plan, first, running, { session, watch, commits });
    commits.forEach((commit, rank) => {
      send(emit, commit.frontier(outcome.ranked.slice(rank, rank + 1)));
    });
    for (const branch of outcome.ranked.slice(0, plan.answers))
      watch.chronicle.selected(branch, watch.scores.scoreOf(branch));
    finish(plan, first, outcome, reportOf(plan, outcome, session.spent, watch), emit);
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    const outcome = { ranked: [], exhausted: error.budget };
    const spent = { ...NOTHING, queueMs: plan.budgetMs ?? 0 };
    finish(plan, first, outcome, reportOf(plan, outcome, spent, watch), emit);
  }
}

function watchOf(plan: Plan, prompt: PlanPrompt, first: number, running: Accounted): Watch {
  const { signal, onBug } = running;
  const evaluations = new Evaluations();
  const rewardOf = (asked: RewardPlan) => running.rewardOf(asked, evaluations.told, signal);
  const values = new Values(plan.values, { ...running, rewardOf }, prompt);
  const { drafts, explain } = plan;
  const chronicle = new Chronicle(first, { emit: drafts ? running.emit : null, explain });
  const reward = plan.reward === null ? null : rewardOf(plan.reward);
  const onScored = chronicle.scored.bind(chronicle);
  const scores = new Scores({ reward, prompt, signal, onScored, onBug });
  return { scores, chronicle, values, evaluations };
}

/** One event for each answer, a choice each: the first tells what the tree has cost. */
function finish(
  { answers }: Plan,
  first: number,
  { ranked }: Outcome,
  whole: ChoiceReport,
  emit: Running['emit'],
): void {
  for (let rank = 0; rank < answers; rank++) {
    const branch = ranked[rank];
    const report = rank === 0 ? whole : shareOf(whole, branch);
    emit({ kind: 'finish', choice: first + rank, reason: branch?.finish ?? 'length', report });
  }
}

/** Where a budget can end the search, its width must not depend on traffic: what it had by then would show it. */
function peakOf({ strategy, params, opening: { budget, maxTokens } }: Plan): Peak {
  const peak = strategies[strategy]!.peak(params);
  return budget < peak.most * maxTokens ? { least: peak.least, most: peak.least } : peak;
}

/** What a search runs on. */
interface Searching {
  readonly session: Session;
  readonly watch: Watch;
  /** One for each answer. */
  readonly commits: readonly Commit[];
}

async function searched(
  plan: Plan,
  first: number,
  { gate, signal, emit }: Running,
  { session, watch, commits }: Searching,
): Promise<Outcome> {
  const { scores, chronicle } = watch;
  if (plan.opening.maxTokens === 0) return nothing(session);
  const tree = Object.assign(session, {
    score: scores.score.bind(scores),
    note: chronicle.note.bind(chronicle),
    tell: chronicle.tell.bind(chronicle),
  });
  const search = strategies[plan.strategy]!.search(tree, plan.params);
  try {
    for (;;) {
      const behind = gate.pass(signal);
      if (behind !== null) await behind;
      const { done, value } = await search.next();
      if (done && scores.silent) throw noScore();
      if (done) return { ranked: value, exhausted: null };
      chronicle.kept(value);
      scores.kept(value);
      session.keep(value);
      for (const commit of commits) send(emit, commit.frontier(value));
      if (plan.drafts && value.length > 1)
        for (const { id, text } of value) emit({ kind: 'draft', choice: first, branch: id, text });
    }
  } catch (error) {
    if (!(error instanceof BudgetSpent)) throw error;
    return { ranked: await bestSoFar(session, scores), exhausted: error.budget };
  }
}

/** No token was asked for. */
function nothing(session: Session): Outcome {
  session.end(session.root);
  return { ranked: [session.root], exhausted: null };
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
  { scores, chronicle, values, evaluations }: Watch,
): ChoiceReport {
  const best = ranked[0];
  const pruning = strategies[plan.strategy]!.prunes?.(plan.params) ?? false;
  const candidates = scores.report(ranked, plan.answers, pruning ? chronicle.gone : []);
  const judged = candidates.filter(({ prunedAt, score }) => prunedAt === null && score !== null);
  const kept = new Set(ranked.flatMap(({ draws }) => draws)).size; // twins share the draws of their past
  return {
    ...spent,
    completionTokens: best?.tokens.length ?? 0,
    prunedTokens: Math.max(0, spent.generatedTokens - kept),
    rewardTokens: scores.tokens + values.tokens + spent.askedTokens,
    savedTokens: pruning && exhausted === null ? saved(ranked, candidates) : 0,
    kl: best === undefined ? 0 : best.logprob - best.base,
    exhausted,
    search: chronicle.report,
    candidates,
    evaluations: evaluations.kept,
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
  const length = sum(ranked.map(({ tokens }) => tokens.length)) / ranked.length;
  const left = candidates.map(({ prunedAt }) => Math.max(0, length - (prunedAt ?? Infinity)));
  return Math.round(sum(left));
}
