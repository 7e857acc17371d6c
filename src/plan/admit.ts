/** The part of parsing that both endpoints share: fields to a Plan and what its answer needs. */

import { z } from 'zod';
import { misfit, wrong } from '../core/fields.ts';
import type { Peak, StrategyContext } from '../core/strategy.ts';
import type { Sampling } from '../core/tree.ts';
import type { PlacedRule, RuleCompiler } from '../rules/compile.ts';
import { strategies } from '../strategies/index.ts';
import { parseAlignment } from './alignment.ts';
import type { Alignment } from './alignment.ts';
import type { Catalog, ModelCard, Preset } from './catalog.ts';
import { budgetOf, capTokens, costOf, countBranches, fitContext } from './cost.ts';
import type { TokenLimit } from './cost.ts';
import { refuseOverGrant } from './grant.ts';
import { refuseMismatch } from './mismatch.ts';
import type { Plan, PlanPrompt } from './plan.ts';
import { logitBias, renderer, sourceText, stopStrings } from './prompt.ts';
import type { Source } from './prompt.ts';
import type { Admitted, Ambient, Answer } from './request.ts';
import { planRule } from './rule.ts';
import { planQuantile, planSchedules } from './scale.ts';
import type { CommonWire } from './schema.ts';
import { selfQuestionOf } from './sources/self_evaluation.ts';
import type { Reader } from './sources/source.ts';

/** A request whose model is known. */
export interface Received {
  readonly catalog: Catalog;
  readonly wire: CommonWire;
  /** As the client named it. */
  readonly model: string;
  readonly policy: ModelCard;
  readonly preset: Preset | null;
  readonly rules: RuleCompiler;
  readonly ambient: Ambient;
}

/** What the two endpoints say in words of their own. */
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

export function admit(received: Received, asked: Asked): Admitted {
  const alignment = parseAlignment(received.wire.alignment, received);
  refuseOverGrant(received.ambient.grant, {
    ...received,
    given: received.wire.alignment,
    named: alignment.named,
  });
  const { plan, cost } = planOf(received, asked, alignment);
  return { plan, answer: answerOf(received, asked, alignment, plan), cost };
}

function planOf(
  received: Received,
  asked: Asked,
  alignment: Alignment,
): Pick<Admitted, 'plan' | 'cost'> {
  const { catalog, wire, policy, preset, rules, ambient } = received;
  const { limits, maxLength } = catalog;
  const [n, answers] = asked.bestOf === null ? [wire.n ?? 1, 1] : [1, wire.n ?? 1];
  const stream = ambient.socket || (wire.stream ?? false);
  const sampling = samplingOf(wire, policy, limits.logitBias);
  const stops = stopStrings(wire.stop, limits.stops, limits.stopLength);
  countBranches(catalog, ONE, n, asked.sources.length); // before any text is encoded
  const read = renderer();
  const prompts = asked.sources.map((source) => promptOf(source, alignment, policy, read));
  const placed = prompts.map(({ lanes, readings }, i) => ({
    lanes: [...lanes, ...Object.entries(readings).map(([model, prompt]) => ({ model, prompt }))],
    at: asked.sources[i]?.at ?? null,
  }));
  const readers = [...alignment.lanes, ...alignment.readers];
  const room = fitContext(asked.maxTokens, placed, readers, maxLength);
  const chosen = chosenStrategy(alignment, asked.bestOf);
  const rewardQuantile = alignment.rewards ? planQuantile(alignment.rewards) : () => null;
  const judged = alignment.rewards !== null;
  const schedules = () => (alignment.rewards ? planSchedules(alignment.rewards) : []);
  const selfQuestion = selfQuestionOf(policy);
  const context = { maxTokens: room, judged, rewardQuantile, schedules, selfQuestion };
  const { params, peak, top, extra } = strategyOf(chosen, alignment, context);
  const asking = readers.map((reader, i) => (i === 0 ? { ...reader, extra } : reader));
  const branches = countBranches(catalog, peak, n, prompts.length);
  const most = Math.min(limits.tokens, preset?.maxCost ?? Infinity, ambient.grant.maxCost);
  const fits = fitContext(asked.maxTokens, placed, asking, maxLength);
  const maxTokens = capTokens(fits, branches, asked.maxTokens, most);
  const plan: Plan = {
    id: ambient.id,
    request: ambient.request,
    strategy: chosen.type,
    params,
    reward: alignment.rewards?.plan ?? null,
    values: alignment.values,
    prompts,
    n,
    answers,
    opening: {
      guidance: alignment.guidance,
      rule: planRule([asked.rule, ...alignment.rules], rules),
      sampling,
      maxTokens,
      extra,
      budget: budgetOf(alignment.budget.tokens, most, n * prompts.length),
      stops,
      seed: BigInt.asUintN(64, BigInt(wire.seed ?? ambient.seed)),
      record: { top: Math.max(asked.logprobs ?? 0, top), guides: alignment.explain },
      salt: ambient.grant.salt,
    },
    budgetMs: alignment.budget.ms,
    stream,
    draws: asked.logprobs !== null || alignment.explain,
    drafts: ambient.socket && (wire.stream_options?.include_alignment ?? false),
  };
  return { plan, cost: costOf(plan, branches) };
}

function answerOf(
  { wire, model, policy, ambient }: Received,
  { sources, logprobs, echo, calls }: Asked,
  alignment: Alignment,
  plan: Plan,
): Answer {
  return {
    id: ambient.id,
    model,
    strategy: plan.strategy,
    stream: plan.stream,
    includeUsage: wire.stream_options?.include_usage ?? false,
    includeAlignment: wire.stream_options?.include_alignment ?? false,
    explain: alignment.explain,
    logprobs,
    calls,
    remarks: strategies[plan.strategy]?.remarks?.(plan.params) ?? {},
    echo: echo ? sources.map((source) => sourceText(source, policy)) : null,
    promptTokens: plan.prompts.map(({ lanes }) => lanes[0]?.prompt.length ?? 0),
    n: plan.n * plan.answers,
    seed: wire.seed ?? ambient.seed,
    guideOrder: alignment.guideOrder,
    codec: policy.codec,
  };
}

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

function promptOf(
  source: Source,
  { lanes, readers }: Alignment,
  policy: ModelCard,
  read: Render,
): PlanPrompt {
  const text = sourceText(source, policy);
  return {
    lanes: lanes.map(({ card, own, at }) => ({
      model: card.name,
      prompt: read(card, source, own, at),
    })),
    text,
    messages: source.kind === 'chat' ? source.messages : null,
    readings: readingsOf(source, text, readers, read),
  };
}

/** A prompt as those who judge read it; the policy's token ids mean nothing to their models, so they read their text. */
function readingsOf(
  source: Source,
  text: string,
  readers: readonly Reader[],
  read: Render,
): PlanPrompt['readings'] {
  const said = source.kind === 'tokens' ? ({ kind: 'text', text, at: source.at } as const) : source;
  return Object.fromEntries(
    readers.map(({ key, card, own, at }) => [key, read(card, said, own, at)]),
  );
}

type Chosen = NonNullable<Alignment['strategy']>;

/** `best_of` is best-of-N in OpenAI's words: by reward, or by mean log-probability where none is named. */
function chosenStrategy({ strategy, rewards }: Alignment, bestOf: number | null): Chosen {
  if (bestOf === null) return strategy ?? { type: 'sample', fields: {} };
  if (strategy !== null) throw wrong('best_of', bestOf, 'left out beside alignment.strategy');
  const by = rewards === null ? 'likelihood' : 'reward';
  return { type: 'best_of_n', fields: { n: bestOf, by } };
}

function strategyOf(chosen: Chosen, alignment: Alignment, context: StrategyContext) {
  const method = strategies[chosen.type];
  if (!method) throw new Error(`strategy ${chosen.type} was not checked`);
  const params = parsed(() => method.parse(chosen.fields, context));
  const peak: Peak = method.peak(params);
  const absolute = method.absolute?.(params) ?? false;
  refuseMismatch(chosen.type, { needs: method.needs(params), absolute }, alignment);
  return { params, peak, top: method.top?.(params) ?? 0, extra: method.extra?.(params) ?? 0 };
}

/** A strategy may check its fields with a schema: its refusal is worded like any other. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof z.ZodError ? misfit(error, 'alignment.strategy') : error;
  }
}
