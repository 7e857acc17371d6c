/** The part of parsing that both endpoints share: fields to a Plan and what its answer needs. */

import { z } from 'zod';
import { misfit, wrong } from '../core/fields.ts';
import type { Peak, StrategyContext } from '../core/strategy.ts';
import type { Sampling } from '../core/tree.ts';
import { ServeError } from '../core/errors.ts';
import { strategies } from '../strategies/index.ts';
import { parseAlignment } from './alignment.ts';
import type { Alignment } from './alignment.ts';
import { policyCard } from './catalog.ts';
import type { Catalog, Preset } from './catalog.ts';
import { capTokens, countBranches, fitContext } from './cost.ts';
import type { TokenLimit } from './cost.ts';
import type { Plan, PlanPrompt } from './plan.ts';
import { logitBias, render, sourceText, stopStrings } from './prompt.ts';
import type { Source } from './prompt.ts';
import type { Admitted, Ambient, Answer } from './request.ts';
import type { CommonWire } from './schema.ts';

/** A request whose model is known. */
export interface Received {
  readonly catalog: Catalog;
  readonly wire: CommonWire;
  /** As the client named it. */
  readonly model: string;
  readonly preset: Preset | null;
  readonly ambient: Ambient;
}

/** What the two endpoints say in words of their own. */
export interface Asked {
  readonly sources: readonly Source[];
  readonly maxTokens: TokenLimit;
  readonly logprobs: number | null;
  readonly echo: boolean;
}

export function admit(received: Received, asked: Asked): Admitted {
  refuseUnserved(received.wire);
  const alignment = parseAlignment(received.wire.alignment, received.catalog, received.preset);
  const plan = planOf(received, asked, alignment);
  return { plan, answer: answerOf(received, asked, alignment, plan) };
}

function planOf(received: Received, asked: Asked, alignment: Alignment): Plan {
  const { catalog, wire, preset, ambient } = received;
  const { limits, maxLength } = catalog;
  const n = wire.n ?? 1;
  const stream = ambient.socket || (wire.stream ?? false);
  const sampling = samplingOf(wire, catalog);
  const stops = stopStrings(wire.stop, limits.stops, limits.stopLength);
  const prompts = asked.sources.map((source) => promptOf(source, alignment, catalog));
  const placed = prompts.map(({ lanes }, i) => ({ lanes, at: asked.sources[i]?.at ?? null }));
  const room = fitContext(asked.maxTokens, placed, alignment.lanes, maxLength);
  const { params, peak } = strategyOf(alignment, { maxTokens: room, stream });
  const branches = countBranches(catalog, peak, n, prompts.length);
  const most = Math.min(limits.tokens, preset?.maxCost ?? Infinity);
  return {
    id: ambient.id,
    strategy: alignment.strategy.type,
    params,
    prompts,
    n,
    opening: {
      guidance: alignment.guidance,
      sampling,
      maxTokens: capTokens(room, branches, asked.maxTokens, most),
      stops,
      seed: BigInt.asUintN(64, BigInt(wire.seed ?? ambient.seed)),
      record: { top: asked.logprobs ?? 0, guides: alignment.explain },
      salt: ambient.salt,
    },
    stream,
    draws: asked.logprobs !== null || alignment.explain,
    drafts: ambient.socket && (wire.stream_options?.include_alignment ?? false),
  };
}

function answerOf(
  { catalog, wire, model, ambient }: Received,
  { sources, logprobs, echo }: Asked,
  alignment: Alignment,
  plan: Plan,
): Answer {
  const policy = policyCard(catalog);
  return {
    id: ambient.id,
    model,
    strategy: plan.strategy,
    stream: plan.stream,
    includeUsage: wire.stream_options?.include_usage ?? false,
    includeAlignment: wire.stream_options?.include_alignment ?? false,
    explain: alignment.explain,
    logprobs,
    echo: echo ? sources.map((source) => sourceText(source, policy)) : null,
    promptTokens: plan.prompts.map(({ lanes }) => lanes[0]?.prompt.length ?? 0),
    n: plan.n,
    seed: wire.seed ?? ambient.seed,
    guideOrder: alignment.guideOrder,
    codec: policy.codec,
  };
}

/** Fields of OpenAI's that change an answer and cannot be served are refused; the others are ignored. */
function refuseUnserved({ tools, response_format: format }: CommonWire): void {
  if (Array.isArray(tools) ? tools.length > 0 : tools)
    throw wrong('tools', tools, 'left out: this version calls no tools');
  const plain =
    typeof format === 'object' && format !== null && 'type' in format && format.type === 'text';
  if (format && !plain)
    throw wrong('response_format', format, 'left out or {"type": "text"} in this version');
}

function samplingOf(wire: CommonWire, catalog: Catalog): Sampling {
  const { vocabulary } = policyCard(catalog).codec;
  return {
    temperature: wire.temperature ?? 1,
    topK: Math.min(Math.max(0, wire.top_k ?? 0), vocabulary.size),
    topP: wire.top_p ?? 1,
    minP: wire.min_p ?? 0,
    presencePenalty: wire.presence_penalty ?? 0,
    frequencyPenalty: wire.frequency_penalty ?? 0,
    repetitionPenalty: wire.repetition_penalty ?? 1,
    logitBias: logitBias(wire.logit_bias, catalog.limits.logitBias, vocabulary.size),
  };
}

function promptOf(source: Source, { lanes }: Alignment, catalog: Catalog): PlanPrompt {
  return {
    lanes: lanes.map(({ card, own, at }) => ({
      model: card.name,
      prompt: render(card, source, own, at),
    })),
    text: sourceText(source, policyCard(catalog)),
  };
}

function strategyOf({ strategy }: Alignment, context: StrategyContext) {
  const method = strategies[strategy.type];
  if (!method) throw new Error(`strategy ${strategy.type} was not checked`);
  const params = parsed(() => method.parse(strategy.fields, context));
  const peak: Peak = method.peak(params);
  const needs = method.needs(params);
  if (needs === 'nothing') return { params, peak };
  throw new ServeError(
    'reward_mismatch',
    `${strategy.type} needs a reward that reads ${needs} answers, and the request names none`,
    'alignment.rewards',
  );
}

/** A strategy may check its fields with a schema: its refusal is worded like any other. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw error instanceof z.ZodError ? misfit(error, 'alignment.strategy') : error;
  }
}
