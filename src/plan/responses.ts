/** A request of the Responses API: items and what came before them to a chat, and the fields that its response repeats. */

import { ServeError } from '../core/errors.ts';
import { show, wrong } from '../core/fields.ts';
import type { ChatMessage } from '../core/text.ts';
import { assemble } from './assemble.ts';
import type { TokenLimit } from './cost.ts';
import { inputItems } from './items.ts';
import type { InputItem } from './items.ts';
import { wellFormed } from './prompt.ts';
import type { Addressed, Planned } from './request.ts';
import { textFormatRule } from './rule.ts';
import { isCalls } from './spoken.ts';
import { parseFlatTools, toolsRule, withTools } from './tools.ts';
import { UNSERVED_IN_RESPONSES, refuseUnserved } from './wire.ts';
import type { CommonWire, ResponsesWire } from './wire.ts';

/** Earlier answers that a request may refer to; null: not held, or not any more. */
export interface Recall {
  /** All that was said up to a response, and its answer; instructions are not part of it. */
  conversation(response: string): readonly ChatMessage[] | null;
  /** The answer itself, by its item's id. */
  item(id: string): ChatMessage | null;
}

export interface PlannedResponse extends Planned {
  readonly asked: ResponseAsked;
}

/** What the response repeats, and what is kept of the request. */
interface ResponseAsked {
  readonly instructions: string | null;
  readonly previous: string | null;
  readonly maxTokens: number | null;
  readonly truncation: 'auto' | 'disabled';
  readonly metadata: Readonly<Record<string, string>>;
  readonly topLogprobs: number;
  /** As it was given: its rule has been checked. */
  readonly format: unknown;
  /** As they were given: they have been checked. */
  readonly tools: unknown;
  readonly toolChoice: unknown;
  readonly parallelToolCalls: boolean;
  readonly store: boolean;
  readonly input: readonly InputItem['wire'][];
  /** What a later request goes on from, the answer still missing. */
  readonly conversation: readonly ChatMessage[];
}

/** @throws ServeError with the path of the field at fault */
export function planResponse(
  about: Omit<Addressed, 'wire'>,
  wire: ResponsesWire,
  recall: Recall,
): PlannedResponse {
  refuseUnserved(wire, UNSERVED_IN_RESPONSES);
  const addressed = { ...about, wire: inChatWords(wire) };
  const items = inputItems(inputOf(wire), addressed.catalog.limits.messages, (id) =>
    recall.item(id),
  );
  const conversation = joined([
    ...earlier(wire.previous_response_id ?? null, recall),
    ...items.flatMap(({ message }) => message ?? []),
  ]);
  if (conversation.length === 0) throw wrong('input', wire.input, 'text, or at least one message');
  const planned = fitted(addressed, wire, conversation);
  const asked: ResponseAsked = {
    instructions: wire.instructions ?? null,
    previous: wire.previous_response_id ?? null,
    maxTokens: wire.max_output_tokens ?? null,
    truncation: wire.truncation ?? 'disabled',
    metadata: wire.metadata ?? {},
    topLogprobs: wire.top_logprobs ?? 0,
    format: wire.text?.format ?? { type: 'text' },
    tools: wire.tools ?? [],
    toolChoice: wire.tool_choice ?? 'auto',
    parallelToolCalls: wire.parallel_tool_calls ?? true,
    store: wire.store ?? true,
    input: items.map((item) => item.wire),
    conversation,
  };
  return { ...planned, asked };
}

/** A call is an item, but part of the message before it, as it was when the model wrote them. */
function joined(messages: readonly ChatMessage[]): ChatMessage[] {
  const turns: ChatMessage[] = [];
  for (const message of messages) {
    const last = turns.at(-1);
    if (last?.role !== 'assistant' || message.role !== 'assistant' || !isCalls(message.content))
      turns.push(message);
    else turns[turns.length - 1] = { ...last, content: `${last.content}\n${message.content}` };
  }
  return turns;
}

/** The fields that all endpoints share; those that have a name of their own here are read by hand. */
function inChatWords(wire: ResponsesWire): CommonWire {
  const { n: _n, max_tokens: _most, max_completion_tokens: _more, ...shared } = wire;
  return shared;
}

/** An answer may be followed by another one. */
const inputOf = ({ input, previous_response_id: previous }: ResponsesWire): unknown =>
  (input ?? null) === null && previous ? [] : input;

function earlier(id: string | null, recall: Recall): readonly ChatMessage[] {
  if (id === null) return [];
  const found = recall.conversation(id);
  if (found) return found;
  throw new ServeError(
    'previous_response_not_found',
    `previous_response_id is ${show(id)}, which this server does not hold, or not any more; give the whole conversation in input`,
    'previous_response_id',
  );
}

/** With `truncation: auto`, the fewest oldest messages are left out with which the rest fits; the last one stays. */
function fitted(
  addressed: Addressed,
  wire: ResponsesWire,
  conversation: readonly ChatMessage[],
): Planned {
  const limit = { asked: wire.max_output_tokens ?? null, at: 'max_output_tokens' };
  const attempt = (drop: number, reserve: number | null): Planned =>
    planMessages(addressed, wire, conversation.slice(drop), {
      ...limit,
      asked: limit.asked ?? reserve,
      fallback: Infinity,
    });
  if (wire.truncation !== 'auto') return attempt(0, null);
  const reserve = Math.max(1, Math.floor(addressed.catalog.maxLength / ROOM_LEFT));
  const drop = fewest(conversation.length - 1, (count) => fits(() => attempt(count, reserve)));
  return attempt(drop, null);
}

/** Where no token limit was asked for, truncation leaves this share of the context to the answer. */
const ROOM_LEFT = 4;

/** The least number from 0 to `most` that will do, given that more will do too; `most` if none does. */
function fewest(most: number, willDo: (count: number) => boolean): number {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (willDo(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function fits(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof ServeError && error.code === 'context_length_exceeded') return false;
    throw error;
  }
}

function planMessages(
  addressed: Addressed,
  wire: ResponsesWire,
  conversation: readonly ChatMessage[],
  maxTokens: TokenLimit,
): Planned {
  const { instructions, include, top_logprobs: top } = wire;
  const content = instructions ? wellFormed(instructions, 'instructions') : '';
  const system = content === '' ? [] : [{ role: 'system', content } as const];
  const logprobs = include?.includes('message.output_text.logprobs') || (top ?? 0) > 0;
  const tools = parseFlatTools(wire, addressed.catalog.limits);
  const format = textFormatRule(wire.text?.format);
  const messages = [...system, ...conversation];
  return assemble(addressed, {
    sources: [
      { kind: 'chat', messages: tools ? withTools(messages, tools) : messages, at: 'input' },
    ],
    maxTokens,
    logprobs: logprobs ? (top ?? 0) : null,
    echo: false,
    bestOf: null,
    rule: tools ? toolsRule(tools, format) : format,
    calls: tools !== null,
  });
}
