/** What the laws of strategies ask of each, and how what came of it is compared. */

import type { StreamEvent } from '../../src/core/events.ts';
import type { Draw } from '../../src/core/tree.ts';
import type { DecodeEngine } from '../../src/engine/engine.ts';
import { strategies } from '../../src/strategies/index.ts';
import { fakeEngine } from '../fakes/engine.ts';
import { fakeVocabulary } from '../fakes/model.ts';
import { planOf, type PlanAsk, type Ran } from '../fakes/plan.ts';
import { sumOf, use } from '../fakes/reward.ts';
import { ruleFor } from '../fakes/rule.ts';

/** Answers in the fakes' letters, of at least three tokens. */
export const WORDS = ruleFor(fakeVocabulary(27), { kind: 'regex', regex: '(ab|cd[e-h]|z)+f' });
export const ACCEPTED = /^(ab|cd[e-h]|z)+f$/;

/** More than an iteration reads. */
export const LONG = Array.from({ length: 200 }, (_, i) => 1 + ((7 * i) % 26));

export const ASKS: readonly PlanAsk[] = [
  { seed: 1 },
  { seed: 2, guides: [['kind', 1.5]], maxTokens: 30 },
  { seed: 3, prompt: [5, 4, 3], stops: ['ab', 'ba', 'zz', 'c'] },
  { seed: 4, maxTokens: 1 },
  { seed: 5, sampling: { temperature: 0 }, n: 2 },
  { seed: 6, guides: [['bold', 0.5]], maxTokens: 12, rule: WORDS },
];

/** All but times and what the prefix cache happened to hold: those are traffic's. */
export function comparable({ events }: Ran): unknown[] {
  return events.map((event) =>
    event.kind === 'finish'
      ? {
          ...event,
          report: { ...event.report, queueMs: 0, prefillMs: 0, cachedTokens: 0, guideTokens: 0 },
        }
      : event,
  );
}

export const byChoice = (ran: Ran): unknown[] => {
  const events = comparable(ran) as StreamEvent[];
  return ran.choices.map((_, i) => events.filter((e) => 'choice' in e && e.choice === i));
};

export const spelled = (draws: readonly Draw[]): string =>
  draws.map(({ token }) => (token === 0 ? '' : String.fromCharCode(96 + token))).join('');

/** What a run came to, however many branches moved at once. */
export const outcomes = ({ choices }: Ran): unknown[] =>
  choices.map((choice) => ({
    ...choice,
    report: {
      ...choice.report,
      queueMs: 0,
      prefillMs: 0,
      cachedTokens: 0,
      guideTokens: 0,
      search: null,
    },
  }));

/** What runs are compared by: in waves, traffic shows in when, not in what. */
export function sameOf(strategy: string, params: unknown): (ran: Ran) => unknown[] {
  const { least, most } = strategies[strategy]!.peak(params);
  return least === most ? byChoice : outcomes;
}

export const engineOf = (options: Parameters<typeof fakeEngine>[0] = {}): DecodeEngine =>
  fakeEngine({ endBias: 0.5, states: true, ...options }).engine;

export const plannerOf =
  (strategy: string, params: unknown) =>
  (ask: PlanAsk): ReturnType<typeof planOf> =>
    planOf({
      strategy,
      params,
      reward: sumOf(use('hash')),
      states: strategies[strategy]!.states?.(params) ?? false,
      top: strategies[strategy]!.top?.(params) ?? 0,
      drafts: true,
      ...ask,
    });
