/** Tools as OpenAI's chat and Responses APIs name them: what may be called, what must be, and how prompts tell the model of it. */

import { z } from 'zod';
import { CALL_TAG } from '../core/call.ts';
import { ServeError } from '../core/errors.ts';
import {
  anything,
  check,
  flag,
  list,
  perLimits,
  oneOf,
  show,
  strict,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import type { ChatMessage } from '../core/text.ts';
import type { PlacedRule } from '../rules/compile.ts';
import type { CallableFunction } from '../rules/tools.ts';
import type { Limits } from './catalog.ts';

/** The fields of a request that are about tools. */
interface ToolsWire {
  readonly tools?: unknown;
  readonly tool_choice?: unknown;
  readonly parallel_tool_calls?: boolean | null | undefined;
}

interface Tools {
  readonly functions: readonly (CallableFunction & { readonly described: object })[];
  readonly choice: 'auto' | 'required';
  readonly many: boolean;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const name = z.string().regex(NAME, '1 to 64 letters, digits, _ or -');

const type = z.literal('function', '"function"');
const functionFields = {
  name,
  description: text(65_536).nullish(),
  parameters: anything,
  strict: flag.nullish(),
};
const MODES = ['none', 'auto', 'required'] as const;

export const toolSchema = tolerant({ type, function: tolerant(functionFields) });
export const choiceSchema = z.union(
  [oneOf(MODES), strict({ type: z.literal('function'), function: tolerant({ name }) })],
  { error: 'none, auto, required or {"type": "function", "function": {"name": string}}' },
);

/** The same, a level flatter. */
export const flatToolSchema = tolerant({ type, ...functionFields });
export const flatChoiceSchema = z.union(
  [oneOf(MODES), strict({ type: z.literal('function'), name })],
  { error: 'none, auto, required or {"type": "function", "name": string}' },
);

const toolsSchema = perLimits(({ tools }: Limits) => list(toolSchema, tools));
const flatToolsSchema = perLimits(({ tools }: Limits) => list(flatToolSchema, tools));

/** A tool as it was given, and the path of its fields. */
interface Offered {
  readonly tool: z.output<typeof flatToolSchema>;
  readonly at: string;
}

/** One of the modes, or the function that is to be called, by its name and the path of that. */
type ToolChoice = (typeof MODES)[number] | { readonly name: string; readonly at: string };

/** Chat's. Null: the request names none, or wants none called. */
export function parseTools(wire: ToolsWire, limits: Limits): Tools | null {
  const given = check(toolsSchema(limits), wire.tools ?? [], 'tools');
  const choice = check(choiceSchema, wire.tool_choice ?? defaultOf(given), 'tool_choice');
  return toolsOf(
    given.map((tool, i) => ({ tool: { ...tool, ...tool.function }, at: `tools[${i}].function` })),
    typeof choice === 'string'
      ? choice
      : { name: choice.function.name, at: 'tool_choice.function.name' },
    wire.parallel_tool_calls ?? true,
  );
}

/** Those of the Responses API. */
export function parseFlatTools(wire: ToolsWire, limits: Limits): Tools | null {
  const given = check(flatToolsSchema(limits), wire.tools ?? [], 'tools');
  const choice = check(flatChoiceSchema, wire.tool_choice ?? defaultOf(given), 'tool_choice');
  return toolsOf(
    given.map((tool, i) => ({ tool, at: `tools[${i}]` })),
    typeof choice === 'string' ? choice : { name: choice.name, at: 'tool_choice.name' },
    wire.parallel_tool_calls ?? true,
  );
}

const defaultOf = (given: readonly unknown[]): 'auto' | 'none' =>
  given.length > 0 ? 'auto' : 'none';

function toolsOf(offered: readonly Offered[], choice: ToolChoice, many: boolean): Tools | null {
  if (choice === 'none' || (choice === 'auto' && offered.length === 0)) return null;
  const functions = offered.map(functionOf);
  refuseTwins(functions, offered);
  if (choice === 'auto') return { functions, choice, many };
  if (functions.length === 0)
    throw wrong('tool_choice', choice, 'left out where there are no tools');
  if (choice === 'required') return { functions, choice, many };
  const chosen = functions.filter((each) => each.name === choice.name);
  if (chosen.length === 0) throw wrong(choice.at, choice.name, 'the name of one of the tools');
  return { functions: chosen, choice: 'required', many: false };
}

function functionOf({ tool, at }: Offered): Tools['functions'][number] {
  const { name: called, description = null, parameters } = tool;
  const described = {
    name: called,
    ...(description === null ? {} : { description }),
    ...(parameters ? { parameters } : {}),
  };
  if (parameters === undefined || parameters === null)
    return { name: called, schema: EMPTY, at, described };
  const path = `${at}.parameters`;
  if (typeof parameters !== 'object' || Array.isArray(parameters))
    throw wrong(path, parameters, 'a schema of an object');
  const kind: unknown = 'type' in parameters ? parameters.type : 'object';
  if (kind !== 'object') throw wrong(`${path}.type`, kind, '"object": arguments are one');
  const closed = 'properties' in parameters || 'additionalProperties' in parameters;
  const schema = { ...parameters, type: kind, ...(closed ? {} : { additionalProperties: false }) };
  return { name: called, schema, at: path, described };
}

/** Arguments of a function that takes none. */
const EMPTY = { type: 'object', properties: {}, additionalProperties: false };

function refuseTwins(functions: readonly CallableFunction[], offered: readonly Offered[]): void {
  const twin = functions.findIndex(({ name: one }, i) =>
    functions.some((f, j) => j < i && f.name === one),
  );
  if (twin < 0) return;
  const at = `${offered[twin]!.at}.name`;
  throw new ServeError(
    'invalid_value',
    `${at} is ${show(functions[twin]!.name)}, as an earlier tool is`,
    at,
  );
}

/** Calls, or what the request's own rule, if it has one, asks of an answer without them. */
export function toolsRule(
  { functions, choice, many }: Tools,
  format: PlacedRule | null,
): PlacedRule {
  const callable = functions.map(({ name: called, schema, at }) => ({ name: called, schema, at }));
  const otherwise = choice === 'required' ? null : (format ?? 'anything');
  return { ask: { kind: 'tools', functions: callable, many, otherwise }, at: 'tools' };
}

/** How models are told, whatever their template: in the system message, as Hermes and Qwen are. */
export function withTools(messages: readonly ChatMessage[], tools: Tools): ChatMessage[] {
  const signatures = tools.functions.map(({ described }) => JSON.stringify(described)).join('\n');
  const told =
    `You may call these functions:\n${signatures}\nTo call one, answer with\n` +
    `${CALL_TAG}\n{"name": ..., "arguments": {...}}\n</tool_call>`;
  const [first, ...rest] = messages;
  if (first?.role !== 'system') return [{ role: 'system', content: told }, ...messages];
  return [{ role: 'system', content: `${first.content}\n\n${told}` }, ...rest];
}
