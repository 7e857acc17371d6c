/** The `response` object of the Responses API: what was asked for, and as much of the answer as there is. */

import type { Call } from '../../core/call.ts';
import type { Draw, Finish } from '../../core/tree.ts';
import type { PlannedResponse } from '../../plan/responses.ts';
import { alignmentOf, usageOf } from '../accounts.ts';
import type { Reports } from '../accounts.ts';
import { chatLogprobs, explained } from '../logprobs.ts';
import { callId, readCalls } from '../tool_calls.ts';

export const ID_PREFIX = 'resp_';
const ITEM_PREFIX = 'msg_';
const CALL_PREFIX = 'fc_';

/** A response holds one message, or calls: the id of an item tells that of its response. */
export const itemId = (response: string): string => ITEM_PREFIX + response.slice(ID_PREFIX.length);
export const callItemId = (response: string, index: number): string =>
  `${CALL_PREFIX}${response.slice(ID_PREFIX.length)}_${index}`;
export const responseId = (item: string): string =>
  ID_PREFIX + item.replace(/^(?:msg|fc)_/, '').replace(/_\d+$/, '');

export type Status = 'in_progress' | 'completed' | 'incomplete' | 'cancelled' | 'failed';

/** How an answer ended. */
export const statusOf = (reason: Finish | null): 'completed' | 'incomplete' =>
  reason === 'length' ? 'incomplete' : 'completed';

interface Progress {
  readonly status: Status;
  /** Null until the end. */
  readonly reports: Reports | null;
}

/** @param output items so far */
export function responseObject(
  { plan, answer, asked }: PlannedResponse,
  created: number,
  { status, reports }: Progress,
  output: readonly object[],
) {
  const { temperature, topP } = plan.opening.sampling;
  return {
    id: answer.id,
    object: 'response',
    created_at: created,
    status,
    background: false,
    error: null as object | null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: asked.instructions,
    max_output_tokens: asked.maxTokens,
    metadata: asked.metadata,
    model: answer.model,
    output,
    parallel_tool_calls: asked.parallelToolCalls,
    previous_response_id: asked.previous,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: asked.store,
    temperature,
    text: { format: asked.format },
    tool_choice: asked.toolChoice,
    tools: asked.tools,
    top_logprobs: asked.topLogprobs,
    top_p: topP,
    truncation: asked.truncation,
    usage: reports === null ? null : responseUsage(answer, reports),
    ...(reports === null ? {} : { alignment: alignmentOf(answer, reports) }),
  };
}

export type ResponseObject = ReturnType<typeof responseObject>;

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export const messageItem = (
  { answer }: PlannedResponse,
  status: ItemStatus,
  content: readonly object[],
) => ({ id: itemId(answer.id), type: 'message', status, role: 'assistant', content });

export const callItem = (
  { answer }: PlannedResponse,
  index: number,
  call: Call,
  status: ItemStatus,
) => ({
  id: callItemId(answer.id, index),
  type: 'function_call',
  status,
  call_id: callId(answer, 0, index),
  ...call,
});

/** An answer as items, the last of which ended as the answer did. */
export function outputItems(
  planned: PlannedResponse,
  text: string,
  draws: readonly Draw[],
  ended: ItemStatus,
): object[] {
  const read = planned.answer.calls ? readCalls(text) : { content: text, calls: [] };
  const { content, calls } = read;
  if (calls.length === 0)
    return [messageItem(planned, ended, [textPart(planned, content ?? '', draws)])];
  return calls.map((call, i) =>
    callItem(planned, i, call, i === calls.length - 1 ? ended : 'completed'),
  );
}

export const textPart = ({ answer }: PlannedResponse, text: string, draws: readonly Draw[]) => ({
  type: 'output_text',
  annotations: [],
  logprobs: answer.logprobs === null ? [] : chatLogprobs(draws, answer.codec, answer.logprobs),
  text,
  ...(answer.explain ? { alignment: { tokens: explained(draws, answer) } } : {}),
});

function responseUsage(answer: PlannedResponse['answer'], reports: Reports) {
  const { prompt_tokens, completion_tokens, total_tokens, ...rest } = usageOf(answer, reports);
  return {
    input_tokens: prompt_tokens,
    input_tokens_details: { ...rest.prompt_tokens_details, cache_write_tokens: 0 },
    output_tokens: completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens,
    alignment: rest.alignment,
  };
}
