/** Calls of tools in an answer's text, and in the words of chat completions, whole and streamed. */

import type { Call } from '../core/call.ts';
import type { Finish } from '../core/tree.ts';
import type { Answer } from '../plan/request.ts';
import { CallReader } from './call_reader.ts';
import type { Said } from './call_reader.ts';
import type { Teller } from './choices.ts';

/** Ids are made of the answer's own, so that they repeat with it. */
export const callId = ({ id }: Answer, choice: number, index: number): string =>
  `call_${id.replace(/^[a-z]+[-_]/, '')}_${choice}_${index}`;

export function callTeller(answer: Answer, choice: number): Teller {
  const reader = new CallReader();
  const tell = (said: readonly Said[]): string[] => said.map((one) => deltaOf(one, answer, choice));
  return {
    delta: (text) => tell(reader.read(text)),
    rest: () => tell(reader.end()),
    reason: (finish) => reasonOf(finish, reader.calls),
  };
}

/** A call that ends an answer ends it by itself. */
const reasonOf = (finish: Finish, calls: number): string =>
  finish === 'stop' && calls > 0 ? 'tool_calls' : finish;

function deltaOf(said: Said, answer: Answer, choice: number): string {
  switch (said.kind) {
    case 'text':
      return `"delta":${JSON.stringify({ content: said.text })}`;
    case 'call': {
      const { index, name } = said;
      const id = callId(answer, choice, index);
      const call = { index, id, type: 'function', function: { name, arguments: '' } };
      return `"delta":${JSON.stringify({ tool_calls: [call] })}`;
    }
    case 'arguments': {
      const call = { index: said.index, function: { arguments: said.text } };
      return `"delta":${JSON.stringify({ tool_calls: [call] })}`;
    }
    default:
      return said satisfies never;
  }
}

/** A whole answer, read: its text, null where it has none, and its calls. */
export function readCalls(text: string): { content: string | null; calls: Call[] } {
  const reader = new CallReader();
  let content: string | null = null;
  const calls: { name: string; arguments: string }[] = [];
  for (const said of [...reader.read(text), ...reader.end()])
    if (said.kind === 'text') content = (content ?? '') + said.text;
    else if (said.kind === 'call') calls.push({ name: said.name, arguments: '' });
    else calls[said.index]!.arguments += said.text;
  return { content, calls };
}

/** Members of a whole choice. */
export function calledMessage(text: string, answer: Answer, choice: number, finish: Finish) {
  const { content, calls } = readCalls(text);
  const tool_calls = calls.map((call, index) => ({
    id: callId(answer, choice, index),
    type: 'function',
    function: call,
  }));
  const spoken = calls.length > 0 ? { content, tool_calls } : { content: content ?? '' };
  return {
    message: { role: 'assistant', ...spoken, refusal: null },
    finish_reason: reasonOf(finish, calls.length),
  };
}
