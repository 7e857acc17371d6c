/** What is answered, for the OpenAPI document. Answers may grow members: clients ignore those they do not know. */

import { z } from 'zod';
import { STATUS } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { schemaOf } from '../../core/json_schema.ts';
import type { SchemaObject } from '../../core/json_schema.ts';

const string = z.string();
const int = z.int();
const nullable = string.nullable();
const open = z.looseObject({});

const error = z.object({
  error: z.object({
    message: string.describe('What is wrong, what was given, what would do.'),
    type: string,
    param: nullable.describe('Path of the field at fault.'),
    code: z.enum(Object.keys(STATUS) as [ErrorCode, ...ErrorCode[]]),
  }),
});

const usage = z.object({
  prompt_tokens: int,
  completion_tokens: int,
  total_tokens: int,
  prompt_tokens_details: z.object({ cached_tokens: int }),
  alignment: z.object({
    generated_tokens: int,
    pruned_tokens: int,
    reward_tokens: int,
    guide_tokens: int,
  }),
});

const candidate = z.object({
  choice: int,
  index: int,
  score: z.number().nullable(),
  parts: z.record(string, z.number()),
  tokens: int,
  status: z.enum(['selected', 'completed', 'pruned', 'failed']),
  pruned_at: int.nullable(),
});
const alignment = z.object({
  strategy: string,
  seed: int,
  candidates: z.array(candidate),
  kl: z.object({ value: z.number(), estimator: string }),
  budget_exhausted: nullable,
});

const call = z.object({
  id: string,
  type: z.literal('function'),
  function: z.object({ name: string, arguments: string }),
});
const FINISH = ['stop', 'length', 'tool_calls'] as const;
const choice = { index: int, logprobs: open.nullable(), alignment: open.optional() };
const message = z.object({
  role: z.literal('assistant'),
  content: nullable,
  refusal: z.null(),
  tool_calls: z.array(call).optional(),
});
const delta = z.object({
  role: string.optional(),
  content: nullable.optional(),
  refusal: z.null().optional(),
  tool_calls: z.array(open).optional(),
});
/** Of whole answers and of chunks. */
const head = (object: string) => ({
  id: string,
  object: z.literal(object),
  created: int.describe('Seconds since the epoch.'),
  model: string,
});
const late = { usage: usage.nullish(), alignment: alignment.optional() };

const chatChoice = z.object({ ...choice, message, finish_reason: z.enum(FINISH) });
const chatDelta = z.object({ ...choice, delta, finish_reason: z.enum(FINISH).nullable() });
const textChoice = z.object({ ...choice, text: string, finish_reason: z.enum(FINISH).nullable() });

const response = z.object({
  id: string,
  object: z.literal('response'),
  created_at: int,
  status: z.enum(['in_progress', 'completed', 'incomplete', 'cancelled', 'failed']),
  model: string,
  output: z.array(z.looseObject({ id: string, type: string, status: string })),
  previous_response_id: nullable,
  incomplete_details: z.object({ reason: string }).nullable(),
  error: open.nullable(),
  usage: open.nullable(),
  alignment: alignment.optional(),
});

const model = z.object({
  id: string,
  object: z.literal('model'),
  created: int,
  owned_by: string,
  max_model_len: int,
  alignment: open,
});
const listOf = <S extends z.ZodType>(item: S) =>
  z.object({ object: z.literal('list'), data: z.array(item) });
const read = z.object({ prompt_tokens: int, total_tokens: int });

const score = z.object({
  index: int,
  object: z.literal('score'),
  score: z.number().nullable().describe('Null where this text could not be judged.'),
  parts: z.record(string, z.number().nullable()),
  steps: z.record(string, z.array(z.number().nullable())).optional(),
  tokens: z
    .record(string, z.array(z.object({ id: int, token: string, score: z.number().nullable() })))
    .optional()
    .describe('With `tokens`: each member’s score of each token.'),
});
const ranked = z.object({
  index: int,
  relevance_score: z.number(),
  document: z.object({ text: string }).optional(),
});

const schemas = {
  Error: error,
  ChatCompletion: z.object({
    ...head('chat.completion'),
    choices: z.array(chatChoice),
    usage,
    alignment,
  }),
  ChatCompletionChunk: z.object({
    ...head('chat.completion.chunk'),
    choices: z.array(chatDelta),
    ...late,
  }),
  Completion: z.object({ ...head('text_completion'), choices: z.array(textChoice), ...late }),
  Response: response,
  ResponseEvent: z.looseObject({ type: string, sequence_number: int }),
  DeletedResponse: z.object({
    id: string,
    object: z.literal('response'),
    deleted: z.literal(true),
  }),
  InputItems: listOf(open).extend({ first_id: nullable, last_id: nullable, has_more: z.boolean() }),
  Models: listOf(model),
  Model: model,
  Scores: listOf(score).extend({ id: string, model: string, created: int, usage: read }),
  Ranking: z.object({ id: string, model: string, results: z.array(ranked), usage: read }),
  Tokens: z.object({
    count: int,
    max_model_len: int,
    tokens: z.array(int),
    token_strs: z.array(string).nullable(),
  }),
  Text: z.object({ prompt: string }),
  Health: z.object({ status: z.literal('ok') }),
  Readiness: z.object({
    status: z.enum(['starting', 'ready', 'restarting', 'stopped', 'draining']),
  }),
  Load: z.object({ server_load: int }),
  Version: z.object({ version: string }),
  Document: open,
} satisfies Record<string, z.ZodType>;

export type AnswerName = keyof typeof schemas;

/** By name. */
export const answerSchemas = (): Readonly<Record<string, SchemaObject>> =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, schemaOf(schema)]));
