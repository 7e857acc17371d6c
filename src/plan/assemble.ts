/** What planning is the same for every endpoint that generates: fields made valid to a Plan, and what its answer needs. */

import { z } from 'zod';
import { misfit, wrong } from '../core/fields.ts';
import type { Peak, StrategyContext } from '../core/strategy.ts';
import type { Sampling } from '../core/tree.ts';
import type { PlacedRule } from '../rules/compile.ts';
import { strategies } from '../strategies/index.ts';
import { parseAlignment } from './alignment.ts';
import type { Alignment } from './alignment.ts';
import type { ModelCard } from './catalog.ts';
import { budgetOf, capTokens, costOf, countBranches, fitContext } from './cost.ts';
import type { Need, Placed, TokenLimit } from './cost.ts';
import { refuseOverGrant } from './grant.ts';
import { refuseMismatch } from './mismatch.ts';
import type { Plan, PlanPrompt } from './plan.ts';
import { readsPrompts, refuseSearchOfNothing, refuseUnreadable } from './prompt_logprobs.ts';
import { logitBias, renderer, sourceText, stopStrings } from './prompt.ts';
import type { Source } from './prompt.ts';
import type { Addressed, Answer, Echo, Planned } from './request.ts';
import { planRule } from './rule.ts';
import { planQuantile, planSchedules } from './scale.ts';
import { selfQuestionOf } from './sources/self_evaluation.ts';
import type { ReadingSpec } from './sources/source.ts';
import type { CommonWire } from './wire.ts';

/** What each endpoint says in words of its own. */
export interface Asked {
  readonly sources: readonly Source[];
  readonly maxTokens: TokenLimit;
  readonly logprobs: number | null;
  readonly echo: boolean;
  /** Answers to draw and choose from, where the endpoint has a field for it. */
  readonly bestOf: number | null;
  /** What the endpoint's own fields ask answers to spell. */
  readonly rule: PlacedRule | null;
  /** Answers may hold calls of tools. */
  readonly calls: boolean;
}

export function assemble(addressed: Addressed, asked: Asked): Planned {
  const alignment = parseAlignment(addressed.wire.alignment, addressed);
  refuseOverGrant(addressed.ticket.grant, {
    ...addressed,
    given: addressed.wire.alignment,
    named: alignment.named,
  });
  const { plan, cost } = planOf(addressed, asked, alignment);
  return { plan, answer: answerOf(addressed, asked, alignment, plan), cost };
}

type Costed = Pick<Planned, 'plan' | 'cost'>;

function planOf(addressed: Addressed, asked: Asked, alignment: Alignment): Costed {
  const { catalog, wire, policy, rules, ticket } = addressed;
  const { limits } = catalog;
  const [n, answers] = asked.bestOf === null ? [wire.n ?? 1, 1] : [1, wire.n ?? 1];
  const sampling = samplingOf(wire, policy, limits.logitBias);
  const stops = stopStrings(wire.stop, limits.stops, limits.stopLength);
  countBranches(catalog, ONE, n, asked.sources.length); // before any text is encoded
  const prompts = promptsOf(asked.sources, alignment, policy);
  if (readsPrompts(asked))
    refuseUnreadable(asked, alignment, { prompts, n, answers }, limits.promptLogprobs);
  const search = searchOf(addressed, asked, alignment, { n, prompts });
  const { strategy, params, extra, maxTokens } = search;
  const plan: Plan = {
    id: ticket.id,
    request: ticket.request,
    strategy,
    params,
    reward: alignment.rewards?.plan ?? null,
    values: alignment.values,
    prompts,
    n,
    answers,
    opening: {
      guidance: alignment.guidance,
      steering: alignment.steering,
      rule: planRule([asked.rule, ...alignment.rules], rules),
      sampling,
      maxTokens,
      extra,
      budget: budgetOf(alignment.budget.tokens, search.most, n * prompts.length),
      stops,
      seed: BigInt.asUintN(64, BigInt(wire.seed ?? ticket.seed)),
      record: {
        top: Math.max(asked.logprobs ?? 0, search.top),
        guides: alignment.explain,
        states: search.states,
      },
      salt: ticket.grant.salt,
    },
    budgetMs: alignment.budget.ms,
    stream: streams(addressed),
    readsPrompts: readsPrompts(asked),
    draws: asked.logprobs !== null || alignment.explain,
    explain: alignment.explain,
    drafts: ticket.socket && (wire.stream_options?.include_alignment ?? false),
  };
  return { plan, cost: costOf(plan, search.branches) };
}

/** A WebSocket always streams. */
const streams = ({ wire, ticket }: Addressed): boolean => ticket.socket || (wire.stream ?? false);

/** A strategy with its parameters, and what it may take. */
interface Search extends Pick<Plan, 'strategy' | 'params'> {
  /** Tokens of its questions, and likeliest tokens that each draw must show. */
  readonly extra: number;
  readonly top: number;
  /** Whether branches sum up the states of the policy's layers. */
  readonly states: boolean;
  /** Over all trees. */
  readonly branches: number;
  /** Tokens of each branch, and of all together. */
  readonly maxTokens: number;
  readonly most: number;
}

function searchOf(
  addressed: Addressed,
  asked: Asked,
  alignment: Alignment,
  { n, prompts }: Pick<Plan, 'n' | 'prompts'>,
): Search {
  const { catalog, preset, ticket } = addressed;
  const { limits, maxLength } = catalog;
  const placed = placedBy(asked.sources, prompts);
  const needs: readonly Need[] = [...alignment.lanes, ...alignment.readings];
  const room = fitContext(asked.maxTokens, placed, needs, maxLength);
  const chosen = chosenStrategy(alignment, asked.bestOf);
  refuseSearchOfNothing(asked, chosen.type, alignment);
  const context = contextOf(addressed, alignment, room);
  const { params, peak, ...takes } = strategyOf(chosen, alignment, context);
  const branches = countBranches(catalog, peak, n, prompts.length);
  const most = Math.min(limits.tokens, preset?.maxCost ?? Infinity, ticket.grant.maxCost);
  const asking = needs.map((need, i) => (i === 0 ? { ...need, extra: takes.extra } : need)); // the policy is asked
  const fits = fitContext(asked.maxTokens, placed, asking, maxLength);
  const maxTokens = capTokens(fits, branches, asked.maxTokens, most);
  return { strategy: chosen.type, params, ...takes, branches, maxTokens, most };
}

/** Each prompt as all that read it do, and where it stands in the request. */
const placedBy = (sources: readonly Source[], prompts: readonly PlanPrompt[]): Placed[] =>
  prompts.map(({ lanes, readings }, i) => ({
    lanes: [...lanes, ...Object.entries(readings).map(([model, prompt]) => ({ model, prompt }))],
    at: sources[i]?.at ?? null,
  }));

const contextOf = (
  { policy }: Addressed,
  { rewards }: Alignment,
  maxTokens: number,
): StrategyContext => ({
  maxTokens,
  judged: rewards !== null,
  rewardQuantile: rewards ? planQuantile(rewards) : () => null,
  schedules: () => (rewards ? planSchedules(rewards) : []),
  selfQuestion: selfQuestionOf(policy),
  layerStates: policy.layerStates ?? false,
});

function answerOf(
  { wire, model, policy, ticket }: Addressed,
  { logprobs, echo, calls }: Asked,
  alignment: Alignment,
  plan: Plan,
): Answer {
  return {
    id: ticket.id,
    model,
    strategy: plan.strategy,
    stream: plan.stream,
    includeUsage: wire.stream_options?.include_usage ?? false,
    includeAlignment: wire.stream_options?.include_alignment ?? false,
    explain: alignment.explain,
    logprobs,
    calls,
    rewards: plan.reward?.uses.map(({ id }) => id) ?? [],
    remarks: strategies[plan.strategy]?.remarks?.(plan.params) ?? {},
    echo: echo ? plan.prompts.map(echoOf) : null,
    promptTokens: plan.prompts.map(({ lanes }) => lanes[0]?.prompt.length ?? 0),
    n: plan.n * plan.answers,
    seed: wire.seed ?? ticket.seed,
    guideOrder: alignment.guideOrder,
    codec: policy.codec,
  };
}

const echoOf = ({ text, lanes }: PlanPrompt): Echo => ({ text, tokens: lanes[0]!.prompt });

function samplingOf(wire: CommonWire, policy: ModelCard, mostBiases: number): Sampling {
  const { vocabulary } = policy.codec;
  return {
    temperature: wire.temperature ?? 1,
    topK: Math.min(Math.max(0, wire.top_k ?? 0), vocabulary.size),
    topP: wire.top_p ?? 1,
    minP: wire.min_p ?? 0,
    presencePenalty: wire.presence_penalty ?? 0,
    frequencyPenalty: wire.frequency_penalty ?? 0,
    repetitionPenalty: wire.repetition_penalty ?? 1,
    logitBias: logitBias(wire.logit_bias, mostBiases, vocabulary.size),
  };
}

/** No strategy has fewer branches. */
const ONE: Peak = { least: 1, most: 1 };

type Render = ReturnType<typeof renderer>;

/** Each prompt as every lane and every judge reads it. */
function promptsOf(
  sources: readonly Source[],
  { lanes, readings }: Alignment,
  policy: ModelCard,
): PlanPrompt[] {
  const read = renderer();
  return sources.map((source) => {
    const text = sourceText(source, policy);
    return {
      lanes: lanes.map(({ card, own, at }) => ({
        model: card.name,
        prompt: read(card, source, own, at),
      })),
      text,
      messages: source.kind === 'chat' ? source.messages : null,
      readings: readingsOf(source, text, readings, read),
    };
  });
}

/** A prompt as those who judge read it; the policy's token ids mean nothing to their models, so they read their text. */
function readingsOf(
  source: Source,
  text: string,
  specs: readonly ReadingSpec[],
  read: Render,
): PlanPrompt['readings'] {
  const said = source.kind === 'tokens' ? ({ kind: 'text', text, at: source.at } as const) : source;
  return Object.fromEntries(
    specs.map(({ key, card, own, at }) => [key, read(card, said, own, at)]),
  );
}

type ChosenStrategy = NonNullable<Alignment['strategy']>;

/** `best_of` is best-of-N in OpenAI's words: by reward, or by mean log-probability where none is named. */
function chosenStrategy({ strategy, rewards }: Alignment, bestOf: number | null): ChosenStrategy {
  if (bestOf === null) return strategy ?? { type: 'sample', fields: {} };
  if (strategy !== null) throw wrong('best_of', bestOf, 'left out beside alignment.strategy');
  const by = rewards === null ? 'likelihood' : 'reward';
  return { type: 'best_of_n', fields: { n: bestOf, by } };
}

function strategyOf(chosen: ChosenStrategy, alignment: Alignment, context: StrategyContext) {
  const method = strategies[chosen.type];
  if (!method) throw new Error(`strategy ${chosen.type} was not checked`);
  const params = parsed(() => method.parse(chosen.fields, context));
  const peak: Peak = method.peak(params);
  const absolute = method.absolute?.(params) ?? false;
  refuseMismatch(chosen.type, { needs: method.needs(params), absolute }, alignment);
  return {
    params,
    peak,
    top: method.top?.(params) ?? 0,
    extra: method.extra?.(params) ?? 0,
    states: method.states?.(params) ?? false,
  };
}

/** A strategy may check its fields with a schema: its refusal is worded like any other. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof z.ZodError ? misfit(error, 'alignment.strategy') : error;
  }
}
