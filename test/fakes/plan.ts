/** Plans for the runner, and what a run of one came to. */

import { setMaxListeners } from 'node:events';
import type { Engine } from '../../src/core/engine.ts';
import type { ChoiceReport, StreamEvent } from '../../src/core/events.ts';
import type { RewardPlan } from '../../src/core/reward.ts';
import type { Draw, Finish } from '../../src/core/tree.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { Gate } from '../../src/run/gate.ts';
import { run, type Running } from '../../src/run/run.ts';
import { opening, type Ask } from './engine.ts';
import { fakeRewardOf } from './reward.ts';

export interface PlanAsk extends Ask {
  readonly strategy?: string;
  readonly params?: unknown;
  readonly reward?: RewardPlan | null;
  readonly values?: Plan['values'];
  readonly n?: number;
  readonly answers?: number;
  readonly prompts?: readonly (readonly number[])[];
  readonly draws?: boolean;
  readonly readsPrompts?: boolean;
  readonly explain?: boolean;
  readonly drafts?: boolean;
  readonly budgetMs?: number | null;
}

let nextId = 0;

export function planOf({
  strategy = 'sample',
  params = {},
  reward = null,
  values = [],
  n = 1,
  answers = 1,
  prompts,
  draws = true,
  readsPrompts = false,
  explain = false,
  drafts = false,
  budgetMs = null,
  ...ask
}: PlanAsk = {}): Plan {
  const { lanes, choice: _choice, peak: _peak, ...rest } = opening(ask);
  return {
    id: `plan-${nextId++}`,
    request: 'req_1',
    strategy,
    params,
    reward,
    values,
    prompts: (prompts ?? [lanes[0]!.prompt]).map((prompt) => ({
      lanes: lanes.map(({ model }) => ({ model, prompt })),
      text: '',
      messages: null,
      readings: {},
    })),
    n,
    answers,
    opening: rest,
    budgetMs,
    stream: true,
    draws,
    readsPrompts,
    explain,
    drafts,
  };
}

/** What one choice came to. */
export interface Choice {
  readonly text: string;
  readonly draws: readonly Draw[];
  readonly tokens: number;
  readonly finish: Finish | null;
  readonly report: ChoiceReport | null;
}

export interface Ran {
  readonly events: readonly StreamEvent[];
  readonly choices: readonly Choice[];
  readonly bugs: readonly unknown[];
}

export interface RunAsk {
  readonly signal?: AbortSignal;
  readonly gate?: Gate;
  /** What `plan.reward` stands for. */
  readonly rewardOf?: Running['rewardOf'];
  /** The clock of `budgetMs`; left out: time stands still. */
  readonly after?: Running['after'];
  /** Called with each event as it is emitted. */
  readonly onEvent?: (event: StreamEvent) => void;
}

export async function ran(
  engine: Engine,
  plan: Plan,
  {
    signal = neverAborted(),
    gate = new Gate(),
    rewardOf = fakeRewardOf,
    after = never,
    onEvent,
  }: RunAsk = {},
): Promise<Ran> {
  const events: StreamEvent[] = [];
  const bugs: unknown[] = [];
  const emit = (event: StreamEvent): void => {
    events.push(event);
    onEvent?.(event);
  };
  const onBug = (error: unknown): void => void bugs.push(error);
  await run(plan, { engine, gate, signal, rewardOf, emit, after, onBug });
  const choices = Array.from({ length: plan.prompts.length * plan.n * plan.answers }, (_, i) =>
    choiceOf(events, i),
  );
  return { events, choices, bugs };
}

const never: Running['after'] = () => () => undefined;

function choiceOf(events: readonly StreamEvent[], index: number): Choice {
  let [text, tokens] = ['', 0];
  const draws: Draw[] = [];
  let [finish, report]: [Finish | null, ChoiceReport | null] = [null, null];
  for (const event of events) {
    if (!('choice' in event) || event.choice !== index) continue;
    if (finish !== null) throw new Error('an event after `finish` of its choice');
    if (event.kind === 'commit') {
      text += event.text;
      tokens += event.tokens;
      draws.push(...event.draws);
    } else if (event.kind === 'finish') [finish, report] = [event.reason, event.report];
  }
  return { text, draws, tokens, finish, report };
}

export function neverAborted(): AbortSignal {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return signal;
}
