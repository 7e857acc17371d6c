/** A request of the Responses API: items and what came before them to a chat, and the fields that its response repeats. */

import { ServeError } from '../core/errors.ts';
import { show, wrong } from '../core/fields.ts';
import type { ChatMessage } from '../core/text.ts';
import { admit } from './admit.ts';
import type { Received } from './admit.ts';
import type { TokenLimit } from './cost.ts';
import { inputItems } from './items.ts';
import type { InputItem } from './items.ts';
import { wellFormed } from './prompt.ts';
import type { Admitted } from './request.ts';
import { refuseTools, textFormatRule } from './rule.ts';
import { UNSERVED_IN_RESPONSES } from './schema.ts';
import type { CommonWire, ResponsesWire } from './schema.ts';

/** Earlier answers that a request may refer to; null: not held, or not any more. */
export interface Recall {
  /** All that was said up to a response, and its answer; instructions are not part of it. */
  conversation(response: string): readonly ChatMessage[] | null;
  /** The answer itself, by its item's id. */
  item(id: string): ChatMessage | null;
}

export interface AdmittedResponse extends Admitted {
  readonly asked: ResponseAsked;
}

/** What the response repeats, and what is kept of the request. */
export interface ResponseAsked {
  readonly instructions: string | null;
  readonly previous: string | null;
  readonly maxTokens: number | null;
  readonly truncation: 'auto' | 'disabled';
  readonly metadata: Readonly<Record<string, string>>;
  readonly topLogprobs: number;
  /** As it was given: its rule has been checked. */
  readonly format: unknown;
  readonly parallelToolCalls: boolean;
  readonly store: boolean;
  readonly input: readonly InputItem['wire'][];
  /** What a later request goes on from, the answer still missing. */
  readonly conversation: readonly ChatMessage[];
}

/** @throws ServeError with the path of the field at fault */
export function admitResponse(
  about: Omit<Received, 'wire'>,
  wire: ResponsesWire,
  recall: Recall,
): AdmittedResponse {
  refuseUnserved(wire);
  const received = { ...about, wire: inChatWords(wire) };
  const items = inputItems(inputOf(wire), received.catalog.limits.messages, (id) =>
    recall.item(id),
  );
  const conversation = [
    ...earlier(wire.previous_response_id ?? null, recall),
    ...items.flatMap(({ message }) => message ?? []),
  ];
  if (conversation.length === 0) throw wrong('input', wire.input, 'text, or at least one message');
  const admitted = fitted(received, wire, conversation);
  const asked: ResponseAsked = {
    instructions: wire.instructions ?? null,
    previous: wire.previous_response_id ?? null,
    maxTokens: wire.max_output_tokens ?? null,
    truncation: wire.truncation ?? 'disabled',
    metadata: wire.metadata ?? {},
    topLogprobs: wire.top_logprobs ?? 0,
    format: wire.text?.format ?? { type: 'text' },
    parallelToolCalls: wire.parallel_tool_calls ?? true,
    store: wire.store ?? true,
    input: items.map((item) => item.wire),
    conversation,
  };
  return { ...admitted, asked };
}

function refuseUnserved(wire: ResponsesWire): void {
  refuseTools(wire.tools);
  for (const [field, rule] of Object.entries(UNSERVED_IN_RESPONSES)) {
    const given = wire[field as keyof typeof UNSERVED_IN_RESPONSES] ?? false;
    if (given !== false) throw wrong(field, given, rule);
  }
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
  received: Received,
  wire: ResponsesWire,
  conversation: readonly ChatMessage[],
): Admitted {
  const limit = { asked: wire.max_output_tokens ?? null, at: 'max_output_tokens' };
  const attempt = (drop: number, reserve: number | null): Admitted =>
    admitMessages(received, wire, conversation.slice(drop), {
      ...limit,
      asked: limit.asked ?? reserve,
      fallback: Infinity,
    });
  if (wire.truncation !== 'auto') return attempt(0, null);
  const reserve = Math.max(1, Math.floor(received.catalog.maxLength / ROOM_LEFT));
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

function admitMessages(
  received: Received,
  { instructions, include, top_logprobs: top, text }: ResponsesWire,
  conversation: readonly ChatMessage[],
  maxTokens: TokenLimit,
): Admitted {
  const content = instructions ? wellFormed(instructions, 'instructions') : '';
  const system = content === '' ? [] : [{ role: 'system', content } as const];
  const logprobs = include?.includes('message.output_text.logprobs') || (top ?? 0) > 0;
  return admit(received, {
    sources: [{ kind: 'chat', messages: [...system, ...conversation], at: 'input' }],
    maxTokens,
    logprobs: logprobs ? (top ?? 0) : null,
    echo: false,
    bestOf: null,
    rule: textFormatRule(text?.format),
    calls: false,
  });
}
