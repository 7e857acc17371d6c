/** Calls and their results as messages of a chat, in the words of Hermes and Qwen: templates need not know of tools. */

import { z } from 'zod';
import { CALL_TAG, spellCall } from '../core/call.ts';
import { check, list, text, tolerant, wrong } from '../core/fields.ts';
import type { ChatMessage } from '../core/text.ts';

/** Calls of one message. */
const MOST_CALLS = 128;

export const callsSchema = list(
  tolerant({
    id: text(256).nullish(),
    type: z.literal('function', '"function"').nullish(),
    function: tolerant({ name: text(64, 1), arguments: z.string('a string of JSON') }),
  }),
  MOST_CALLS,
);

/** An assistant's message that calls: its text, if any, then its calls. */
export function spokenCalls(raw: unknown, said: string, at: string): string {
  const calls = check(callsSchema, raw, at);
  const spelled = calls.map(({ function: call }) => spellCall(call));
  return [...(said === '' ? [] : [said]), ...spelled].join('\n');
}

/** Whether a message is calls and nothing else. */
export const isCalls = (said: string): boolean => said.startsWith(CALL_TAG);

/** What a tool gave back, as the user tells it. */
export function spokenResult(id: unknown, said: string, at: string): ChatMessage {
  if (typeof id !== 'string' || id === '')
    throw wrong(`${at}.tool_call_id`, id, 'the id of the call that this answers');
  return toolResult(said);
}

export const toolResult = (said: string): ChatMessage => ({
  role: 'user',
  content: `<tool_response>\n${said}\n</tool_response>`,
});
