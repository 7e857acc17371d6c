/**
 * Requests as JSON Schemas, for those who write clients: made of the schemas that parse them. Fields that are read by hand
 * get their form here, by name.
 */

import { z } from 'zod';
import { integer, list, number, oneOf, table, text, tolerant } from '../core/fields.ts';
import { schemaOf } from '../core/json_schema.ts';
import type { SchemaObject } from '../core/json_schema.ts';
import { strategies } from '../strategies/index.ts';
import { rules } from '../strategies/prune/index.ts';
import type { Limits } from './catalog.ts';
import { modelGuideSchema, ratioGuideSchema, valueGuideSchema } from './guide_wire.ts';
import { rerankSchema } from './rerank.ts';
import { formatSchema, ruleGuideSchema, textFormatSchema } from './rule.ts';
import { scoreSchema } from './score.ts';
import { kinds } from './sources/index.ts';
import { callsSchema } from './spoken.ts';
import { choiceSchema, flatChoiceSchema, flatToolSchema, toolSchema } from './tools.ts';
import {
  UNSERVED_IN_CHAT,
  UNSERVED_IN_COMPLETIONS,
  UNSERVED_IN_RESPONSES,
  alignmentSchema,
  chatSchema,
  completionSchema,
  messagesSchema,
  responsesSchema,
} from './wire.ts';

/** Forms by the name of their field; `name[]`: of each item of a list. */
type Forms = Readonly<Record<string, SchemaObject>>;

/** Where the document keeps a schema that several fields have. */
export const refTo = (name: string): SchemaObject => ({ $ref: `#/components/schemas/${name}` });

const maybe = (name: string): SchemaObject => ({ anyOf: [refTo(name), { type: 'null' }] });

const string = z.string();
const ids = list(integer(0, 2 ** 32 - 1), 1_000_000, 1);
const textPart = tolerant({ type: z.literal('text'), text: string });
const jsonSchema = z.union([z.boolean(), z.looseObject({})]).describe('A JSON Schema.');

/** Every request's schema and what they share, by name. */
export function requestSchemas(limits: Limits): Forms {
  const forms = formsOf(limits);
  const completion = {
    prompt: schemaOf(
      z.union([string, list(string, limits.branches, 1), ids, list(ids, limits.branches, 1)]),
    ),
    tools: refused('left out: only chats call tools'),
  };
  const documents = z.union([string, tolerant({ text: string })]);
  return {
    ...sharedSchemas(limits, forms),
    ChatCompletionRequest: filled(schemaOf(chatSchema(limits)), {
      ...forms,
      ...refusedForms(UNSERVED_IN_CHAT),
    }),
    CompletionRequest: filled(schemaOf(completionSchema(limits)), {
      ...forms,
      ...completion,
      ...refusedForms(UNSERVED_IN_COMPLETIONS),
    }),
    ResponseRequest: filled(schemaOf(responsesSchema(limits)), {
      ...forms,
      ...responseForms(limits),
    }),
    ScoreRequest: filled(schemaOf(scoreSchema(limits)), forms),
    RerankRequest: filled(schemaOf(rerankSchema(limits)), {
      ...forms,
      documents: schemaOf(list(documents, limits.documents, 1)),
    }),
  };
}

function sharedSchemas(limits: Limits, forms: Forms): Forms {
  const guides = [modelGuideSchema, ratioGuideSchema, valueGuideSchema, ruleGuideSchema];
  const alignment = filled(schemaOf(alignmentSchema(limits)), forms);
  return {
    Alignment: { ...alignment, description: 'How the answer is steered, searched for and judged.' },
    Guide: filled({ anyOf: guides.map((schema) => schemaOf(schema(limits))) }, forms),
    Reward: filled(
      { anyOf: [...new Set(Object.values(kinds))].map((kind) => schemaOf(kind.schema(limits))) },
      forms,
    ),
    Strategy: { anyOf: named(strategies, { prune: maybe('Prune') }) },
    Prune: { anyOf: named(rules, {}) },
  };
}

/** Each entry's fields beside its name, as `type`. */
const named = (
  kinds: Readonly<Record<string, { readonly fields: z.ZodType }>>,
  forms: Forms,
): SchemaObject[] =>
  Object.entries(kinds).map(([name, { fields }]) => {
    const { properties, required, ...shape } = filled(schemaOf(fields), forms);
    return {
      ...shape,
      properties: { type: { const: name }, ...(properties as object) },
      required: ['type', ...((required ?? []) as string[])],
    };
  });

/** What a message of a chat says. */
export const messageContent = (): SchemaObject => optional(z.union([string, z.array(textPart)]));

function formsOf(limits: Limits): Forms {
  const { stops, stopLength, documents } = limits;
  const stop = text(stopLength, 1);
  const texts = z.union([string, list(string, documents, 1)]);
  const conversation = messagesSchema(limits);
  const message = {
    content: messageContent(),
    tool_calls: optional(callsSchema),
    tool_call_id: optional(string),
  };
  return {
    ...message,
    stop: optional(z.union([stop, list(stop, stops)])),
    logit_bias: optional(
      table(z.string().regex(/^(0|[1-9]\d{0,9})$/), number(-100, 100), 'biases by token id'),
    ),
    tools: filled(optional(list(toolSchema, limits.tools)), { parameters: schemaOf(jsonSchema) }),
    tool_choice: optional(choiceSchema),
    response_format: filled(optional(formatSchema), { schema: schemaOf(jsonSchema) }),
    schema: schemaOf(jsonSchema),
    json_schema: schemaOf(jsonSchema),
    answer: schemaOf(z.union([z.number(), string])),
    queries: schemaOf(texts),
    documents: schemaOf(texts),
    messages: filled(optional(z.union([conversation, list(conversation, documents, 1)])), message),
    alignment: maybe('Alignment'),
    'guides[]': refTo('Guide'),
    'rewards[]': refTo('Reward'),
    strategy: maybe('Strategy'),
  };
}

const optional = (schema: z.ZodType): SchemaObject => schemaOf(schema.nullish());

const refused = (rule: string): SchemaObject => ({
  type: 'null',
  description: `Refused: ${rule}.`,
});

function responseForms({ messages, tools }: Limits): Forms {
  const part = z.union([
    tolerant({ type: oneOf(['input_text', 'output_text', 'text']), text: string }),
    tolerant({ type: z.literal('refusal'), refusal: string }),
  ]);
  const content = z.union([string, z.array(part)]);
  const item = z.union([
    tolerant({
      type: z.literal('message').optional(),
      role: oneOf(['system', 'developer', 'user', 'assistant']),
      content,
    }),
    tolerant({
      type: z.literal('function_call'),
      call_id: string,
      name: string,
      arguments: string,
    }),
    tolerant({ type: z.literal('function_call_output'), call_id: string, output: content }),
    tolerant({ type: z.literal('item_reference'), id: string }),
    tolerant({ type: z.literal('reasoning') }),
  ]);
  return {
    ...refusedForms(UNSERVED_IN_RESPONSES),
    input: schemaOf(z.union([string, list(item, messages)])),
    format: filled(optional(textFormatSchema), { schema: schemaOf(jsonSchema) }),
    tools: filled(optional(list(flatToolSchema, tools)), { parameters: schemaOf(jsonSchema) }),
    tool_choice: optional(flatChoiceSchema),
  };
}

const refusedForms = (fields: Readonly<Record<string, string>>): Forms =>
  Object.fromEntries(Object.entries(fields).map(([name, rule]) => [name, refused(rule)]));

/** The same schema, with a form for each field that says nothing of itself. */
export function filled(shape: SchemaObject, forms: Forms, name = ''): SchemaObject {
  const known = Object.hasOwn(forms, name) ? forms[name] : undefined;
  if (known !== undefined && isOpen(shape)) return { ...known, ...shape };
  return Object.fromEntries(
    Object.entries(shape).map(([key, value]) => [key, part(key, value, forms, name)]),
  );
}

const isOpen = (shape: SchemaObject): boolean =>
  !['type', 'anyOf', 'oneOf', '$ref'].some((key) => key in shape);

function part(key: string, value: unknown, forms: Forms, name: string): unknown {
  if (key === 'properties')
    return Object.fromEntries(
      Object.entries(value as Record<string, SchemaObject>).map(([field, shape]) => [
        field,
        filled(shape, forms, field),
      ]),
    );
  if (key === 'items') return filled(value as SchemaObject, forms, `${name}[]`);
  if (key === 'anyOf' || key === 'oneOf')
    return (value as SchemaObject[]).map((shape) => filled(shape, forms, name));
  return value;
}
