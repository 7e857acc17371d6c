/** What a request asks its answers to spell: `response_format`, or a guide of kind rule; compiled, once, to a network. */

import { z } from 'zod';
import { ServeError } from '../core/errors.ts';
import {
  anything,
  check,
  flag,
  list,
  perLimits,
  strict,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import type { RuleNetwork } from '../core/rule.ts';
import type { PlacedRule, RuleCompiler } from '../rules/compile.ts';
import type { Limits } from './catalog.ts';

const named = { name: text(64, 1), schema: anything, strict: flag.nullish() };

/** @param schema the fields of the form that has a schema */
const formats = <S extends z.core.$ZodLooseShape>(schema: S) =>
  z.discriminatedUnion(
    'type',
    [
      tolerant({ type: z.literal('text') }),
      tolerant({ type: z.literal('json_object') }),
      tolerant({ type: z.literal('json_schema'), ...schema }),
    ],
    { error: 'an object whose type is text, json_object or json_schema' },
  );

export const formatSchema = formats({ json_schema: tolerant(named) });
export const textFormatSchema = formats(named);

/** OpenAI's `response_format`. Schemas are kept whether `strict` or not. */
export function formatRule(raw: unknown): PlacedRule | null {
  if (raw === undefined || raw === null) return null;
  const at = 'response_format';
  const format = check(formatSchema, raw, at);
  if (format.type !== 'json_schema') return plainRule(format.type, at);
  return schemaRule(format.json_schema.schema, `${at}.json_schema.schema`);
}

/** The Responses API's `text.format`: as `response_format`, a level flatter. */
export function textFormatRule(raw: unknown): PlacedRule | null {
  if (raw === undefined || raw === null) return null;
  const at = 'text.format';
  const format = check(textFormatSchema, raw, at);
  if (format.type !== 'json_schema') return plainRule(format.type, at);
  return schemaRule(format.schema, `${at}.schema`);
}

const plainRule = (type: 'text' | 'json_object', at: string): PlacedRule | null =>
  type === 'text' ? null : { ask: { kind: 'object' }, at };

/** A schema that is left out or empty accepts any value; OpenAI's answers are objects. */
function schemaRule(schema: unknown, at: string): PlacedRule {
  if (schema === undefined || schema === null) return { ask: { kind: 'object' }, at };
  return { ask: { kind: 'schema', schema }, at };
}

const LONGEST_CHOICE = 1024;

/** What an answer must spell. */
export const ruleGuideSchema = perLimits((limits: Limits) =>
  strict({
    rule: z.union(
      [
        strict({ regex: text(limits.rules.pattern, 1) }),
        strict({ choice: list(text(LONGEST_CHOICE, 1), limits.rules.values, 1) }),
        strict({ json_schema: z.unknown() }),
      ],
      { error: '{"regex": string}, {"choice": [strings]} or {"json_schema": schema}' },
    ),
  }),
);

/** A guide `{"rule": ...}` of `alignment.guides`; null for a guide of another kind. */
export function guideRule(raw: unknown, at: string, limits: Limits): PlacedRule | null {
  if (typeof raw !== 'object' || raw === null || !Object.hasOwn(raw, 'rule')) return null;
  const { rule } = check(ruleGuideSchema(limits), raw, at);
  if ('regex' in rule) return { ask: { kind: 'regex', ...rule }, at: `${at}.rule.regex` };
  if ('choice' in rule) return { ask: { kind: 'choice', ...rule }, at: `${at}.rule.choice` };
  return schemaRule(rule.json_schema, `${at}.rule.json_schema`);
}

/** One rule may be given; two would have to hold at once. */
export function planRule(
  asked: readonly (PlacedRule | null)[],
  compiler: RuleCompiler,
): RuleNetwork | null {
  const [first, second] = asked.filter((rule) => rule !== null);
  if (first === undefined) return null;
  if (second !== undefined)
    throw new ServeError(
      'invalid_value',
      `${second.at} is a second rule beside ${first.at}; an answer keeps one`,
      second.at,
    );
  return compiler.compile(first.ask, first.at);
}

/** Text without a conversation calls nothing. */
export function refuseTools(tools: unknown): void {
  if (Array.isArray(tools) ? tools.length > 0 : tools)
    throw wrong('tools', tools, 'left out: only chats call tools');
}
