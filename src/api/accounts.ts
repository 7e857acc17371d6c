/** What a request cost and how far it was bent: the `usage` and `alignment` blocks of its response. */

import type { ChoiceReport } from '../core/events.ts';
import { sum } from '../core/math.ts';
import type { Evaluation } from '../core/reward.ts';
import type { Answer } from '../plan/request.ts';
import { agreementsOf } from './agreement.ts';

/** Reports by choice index. */
export type Reports = ReadonlyMap<number, ChoiceReport>;

const total = (reports: Reports, read: (report: ChoiceReport) => number): number =>
  sum([...reports.values()].map(read));

export function usageOf(answer: Answer, reports: Reports) {
  const prompt_tokens = sum(answer.promptTokens);
  const completion_tokens = total(reports, (report) => report.completionTokens);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: cachedTokens(answer, reports) },
    alignment: {
      generated_tokens: total(reports, (report) => report.generatedTokens),
      pruned_tokens: total(reports, (report) => report.prunedTokens),
      reward_tokens: total(reports, (report) => report.rewardTokens),
      guide_tokens: total(reports, (report) => report.guideTokens),
    },
  };
}

/** A prompt's trees after the first find it cached by the first: that is not counted. */
function cachedTokens({ promptTokens, n }: Answer, reports: Reports): number {
  const ofPrompts = promptTokens.map((_, prompt) => {
    const trees = Array.from({ length: n }, (_each, tree) => reports.get(prompt * n + tree));
    return Math.min(...trees.map((report) => report?.cachedTokens ?? 0));
  });
  return sum(ofPrompts);
}

/** What rewards could not do, where that is anything: who failed, and which choices an ensemble abstained from. */
function verdicts(reports: readonly ChoiceReport[]) {
  const failed = failedRewards(reports.flatMap(({ evaluations }) => evaluations));
  return {
    ...(failed.length > 0 ? { failed_rewards: failed } : {}),
    ...(reports.some(({ abstained }) => abstained)
      ? { abstained: reports.map(({ abstained }) => abstained) }
      : {}),
  };
}

/** Members that some call left out, once each. */
export function failedRewards(evaluations: readonly Evaluation[]) {
  const failed = evaluations.filter(({ outcome }) => outcome !== 'ok');
  const worst = new Map(failed.map(({ member, outcome }) => [member, outcome]));
  return [...worst].map(([id, outcome]) => ({ id, outcome }));
}

export function alignmentOf(
  { strategy, seed, remarks, explain, rewards }: Answer,
  reports: Reports,
) {
  const inOrder = [...reports].toSorted(([a], [b]) => a - b);
  return {
    strategy,
    seed,
    ...remarks,
    candidates: inOrder.flatMap(([choice, report]) =>
      report.candidates.map(({ prunedAt, ...candidate }) => ({
        choice,
        ...candidate,
        pruned_at: prunedAt,
      })),
    ),
    kl: {
      value: total(reports, (report) => report.kl) / Math.max(1, reports.size),
      estimator: 'sum over tokens of log pi - log p, mean over choices',
    },
    /** The budget that ended the search with the best so far. */
    budget_exhausted:
      inOrder.find(([, { exhausted }]) => exhausted !== null)?.[1].exhausted ?? null,
    ...(explain
      ? { trees: inOrder.map(([choice, report]) => treeOf(choice, report, rewards)) }
      : {}),
    tokens_saved: total(reports, (report) => report.savedTokens),
    ...verdicts(inOrder.map(([, report]) => report)),
  };
}

function treeOf(choice: number, { search, candidates }: ChoiceReport, rewards: readonly string[]) {
  const whole = candidates.filter(({ prunedAt }) => prunedAt === null);
  const agreement = agreementsOf(rewards, whole);
  return { choice, ...search, ...(agreement.length > 0 ? { agreement } : {}) };
}
