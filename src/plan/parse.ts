/** A request made valid, once: wire fields and catalog to a Plan, or a ServeError with the path of the field at fault. */

import { ServeError } from '../core/errors.ts';
import { check, show, wrong } from '../core/fields.ts';
import { sum } from '../core/math.ts';
import { RuleCompiler } from '../rules/compile.ts';
import { assemble } from './assemble.ts';
import type { Asked } from './assemble.ts';
import { policiesOf, policyCard } from './catalog.ts';
import type { Catalog, Limits } from './catalog.ts';
import { chatSource, completionSources } from './prompt.ts';
import type { Addressed, Planned, Ticket } from './request.ts';
import { planResponse } from './responses.ts';
import type { PlannedResponse, Recall } from './responses.ts';
import { formatRule, refuseTools } from './rule.ts';
import { parseTools, toolsRule, withTools } from './tools.ts';
import {
  UNSERVED_IN_CHAT,
  UNSERVED_IN_COMPLETIONS,
  chatSchema,
  completionSchema,
  refuseUnserved,
  responsesSchema,
} from './wire.ts';
import type { ChatWire, CompletionWire } from './wire.ts';

/** Parses requests against one catalog. */
export interface Planner {
  chat(body: unknown, ticket: Ticket): Planned;
  completion(body: unknown, ticket: Ticket): Planned;
  response(body: unknown, ticket: Ticket, recall: Recall): PlannedResponse;
  /** Held by compiled rules. */
  readonly ruleBytes: number;
}

export function planner(catalog: Catalog): Planner {
  const { limits } = catalog;
  const [chat, completion] = [chatSchema(limits), completionSchema(limits)];
  const response = responsesSchema(limits);
  const compilers = ruleCompilers(catalog);
  const about = (model: string | null | undefined, ticket: Ticket): Omit<Addressed, 'wire'> => {
    const chosen = chosenModel(model, catalog);
    const rules = compilers.get(chosen.policy.vocabulary!)!; // every policy has one
    return { catalog, ...chosen, rules, ticket };
  };
  return {
    chat(body, ticket) {
      const wire = check(chat, unwrapped(body), '');
      return assemble({ ...about(wire.model, ticket), wire }, askedOfChat(wire, limits));
    },
    completion(body, ticket) {
      const wire = check(completion, unwrapped(body), '');
      const addressed = { ...about(wire.model, ticket), wire };
      return assemble(addressed, askedOfCompletion(wire, addressed));
    },
    response(body, ticket, recall) {
      const wire = check(response, unwrapped(body), '');
      return planResponse(about(wire.model, ticket), wire, recall);
    },
    get ruleBytes() {
      return sum([...compilers.values()].map(({ bytes }) => bytes));
    },
  };
}

function askedOfChat(wire: ChatWire, limits: Limits): Asked {
  refuseUnserved(wire, UNSERVED_IN_CHAT);
  const asked = wire.max_completion_tokens ?? wire.max_tokens ?? null;
  const at = wire.max_completion_tokens ? 'max_completion_tokens' : 'max_tokens';
  const format = formatRule(wire.response_format);
  const tools = parseTools(wire, limits);
  const source = chatSource(wire.messages);
  return {
    sources: [tools ? { ...source, messages: withTools(source.messages, tools) } : source],
    maxTokens: { asked, at, fallback: Infinity },
    logprobs: chatLogprobs(wire.logprobs ?? false, wire.top_logprobs ?? null),
    echo: false,
    bestOf: null,
    rule: tools ? toolsRule(tools, format) : format,
    calls: tools !== null,
  };
}

function askedOfCompletion(
  wire: CompletionWire,
  { catalog, policy }: Pick<Addressed, 'catalog' | 'policy'>,
): Asked {
  refuseUnserved(wire, UNSERVED_IN_COMPLETIONS);
  refuseFields(wire);
  const { vocabulary } = policy.codec;
  return {
    sources: completionSources(wire.prompt, catalog.limits.branches, vocabulary.size),
    maxTokens: { asked: wire.max_tokens ?? null, at: 'max_tokens', fallback: 16 },
    logprobs: wire.logprobs ?? null,
    echo: wire.echo ?? false,
    bestOf: (wire.best_of ?? 1) > (wire.n ?? 1) ? (wire.best_of ?? null) : null,
    rule: formatRule(wire.response_format),
    calls: false,
  };
}

/** One for each vocabulary, since a rule is spelled in tokens; they share the memory. */
function ruleCompilers(catalog: Catalog): ReadonlyMap<string, RuleCompiler> {
  const first = policiesOf(catalog).filter(({ name, vocabulary }) => name === vocabulary);
  const { rules } = catalog.limits;
  const limits = { ...rules, cacheBytes: Math.floor(rules.cacheBytes / first.length) };
  return new Map(
    first.map(({ name, codec }) => [name, new RuleCompiler(name, codec.vocabulary, limits)]),
  );
}

/** `extra_body` is the Python SDK's way to add fields; written literally, it is read as if it had been used. */
function unwrapped(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || !('extra_body' in body)) return body;
  const { extra_body: extra, ...rest } = body;
  if (extra === null) return rest;
  if (typeof extra !== 'object' || Array.isArray(extra))
    throw wrong('extra_body', extra, 'an object of further fields, such as {"alignment": {...}}');
  return { ...extra, ...rest };
}

type ChosenModel = Pick<Addressed, 'model' | 'policy' | 'preset'>;

function chosenModel(asked: string | null | undefined, catalog: Catalog): ChosenModel {
  const name = asked ?? catalog.policy;
  const preset = catalog.presets.get(name) ?? null;
  if (preset) return { model: name, policy: policyCard(catalog, preset.policy), preset };
  const card = catalog.models.get(name);
  if (card?.role === 'policy') return { model: name, policy: card, preset: null };
  const policies = policiesOf(catalog).map((policy) => policy.name);
  const what = card ? `a ${card.role} model, which does not answer by itself` : 'not served here';
  throw new ServeError(
    'model_not_found',
    `model is ${show(name)}, ${what}; models here: ${[...policies, ...catalog.presets.keys()].join(', ')}`,
    'model',
  );
}

function chatLogprobs(asked: boolean, top: number | null): number | null {
  if (asked) return top ?? 0;
  if (top === null || top === 0) return null;
  throw new ServeError(
    'invalid_value',
    `top_logprobs is ${top} without logprobs; set logprobs to true, or leave both out`,
    'top_logprobs',
  );
}

function refuseFields(wire: CompletionWire): void {
  const n = wire.n ?? 1;
  refuseTools(wire.tools);
  if (wire.suffix)
    throw wrong('suffix', wire.suffix, 'left out: these models only continue a prompt');
  if (wire.max_tokens === 0 && !wire.echo)
    throw wrong('max_tokens', 0, 'at least 1, or 0 beside echo: an answer would be empty');
  if (wire.best_of && wire.best_of < n)
    throw wrong('best_of', wire.best_of, `at least n, which is ${n}`);
}
