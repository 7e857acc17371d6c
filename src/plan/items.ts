/** Input of a response, as a string or as OpenAI's items, to the messages of a chat. Items keep a plain form in which they can be listed. */

import { spellCall } from '../core/call.ts';
import { wrong } from '../core/fields.ts';
import type { ChatMessage } from '../core/text.ts';
import { wellFormed } from './prompt.ts';
import { isCalls, toolResult } from './spoken.ts';

/** An item that the client sent, and what the model reads of it; null: nothing. */
export interface InputItem {
  readonly wire: Readonly<Record<string, unknown>>;
  readonly message: ChatMessage | null;
}

/** Finds the item of an earlier answer by its id; null: there is none. */
type RecallItem = (id: string) => ChatMessage | null;

const FORMS = 'a string, or a list of items';

/** @param most items */
export function inputItems(raw: unknown, most: number, recall: RecallItem): InputItem[] {
  if (typeof raw === 'string') return [message('user', wellFormed(raw, 'input'))];
  if (!Array.isArray(raw)) throw wrong('input', raw ?? undefined, FORMS);
  const items: readonly unknown[] = raw;
  if (items.length > most) throw wrong('input', raw, `${FORMS}, at most ${most}`);
  return items.map((item, i) => inputItem(item, `input[${i}]`, recall));
}

/** `type` may be left out of a message. */
function inputItem(raw: unknown, at: string, recall: RecallItem): InputItem {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw wrong(at, raw, 'an object');
  const item: Readonly<Record<string, unknown>> = { ...raw };
  const parse = PARSERS.get(item['type'] ?? 'message');
  if (parse) return parse(item, at, recall);
  throw wrong(`${at}.type`, item['type'], `one of ${[...PARSERS.keys()].join(', ')}`);
}

type ItemParser = (
  item: Readonly<Record<string, unknown>>,
  at: string,
  recall: RecallItem,
) => InputItem;

const PARSERS: ReadonlyMap<unknown, ItemParser> = new Map([
  ['message', readMessage],
  ['function_call', readCall],
  ['function_call_output', readCallOutput],
  ['item_reference', readReference],
  // Written by other models; those here keep no reasoning apart.
  ['reasoning', (wire) => ({ wire, message: null })],
] satisfies [string, ItemParser][]);

const ROLES: ReadonlyMap<unknown, ChatMessage['role']> = new Map([
  ['system', 'system'],
  ['developer', 'system'],
  ['user', 'user'],
  ['assistant', 'assistant'],
]);

function readMessage({ role, content }: Readonly<Record<string, unknown>>, at: string): InputItem {
  const known = ROLES.get(role);
  if (!known) throw wrong(`${at}.role`, role, `one of ${[...ROLES.keys()].join(', ')}`);
  return message(known, contentOf(content, `${at}.content`));
}

function message(role: ChatMessage['role'], text: string): InputItem {
  const type = role === 'assistant' ? 'output_text' : 'input_text';
  return {
    wire: { type: 'message', role, status: 'completed', content: [{ type, text }] },
    message: { role, content: text },
  };
}

/** What the model reads of a call is what it would have written. */
function readCall(item: Readonly<Record<string, unknown>>, at: string): InputItem {
  const name = textOf(item, 'name', at);
  const args = textOf(item, 'arguments', at);
  const call_id = textOf(item, 'call_id', at);
  const wire = { type: 'function_call', status: 'completed', call_id, name, arguments: args };
  const content = spellCall({ name, arguments: args });
  return { wire, message: { role: 'assistant', content } };
}

function readCallOutput(item: Readonly<Record<string, unknown>>, at: string): InputItem {
  const call_id = textOf(item, 'call_id', at);
  const output = contentOf(item['output'], `${at}.output`);
  const wire = { type: 'function_call_output', status: 'completed', call_id, output };
  return { wire, message: toolResult(output) };
}

function readReference(item: Readonly<Record<string, unknown>>, at: string, recall: RecallItem) {
  const id = textOf(item, 'id', at);
  const found = recall(id);
  if (found === null)
    throw wrong(`${at}.id`, id, 'the id of an answer that this server still holds');
  if (isCalls(found.content)) return { wire: { type: 'item_reference', id }, message: found };
  return message(found.role, found.content);
}

function textOf(item: Readonly<Record<string, unknown>>, key: string, at: string): string {
  const value = item[key];
  if (typeof value === 'string') return wellFormed(value, `${at}.${key}`);
  throw wrong(`${at}.${key}`, value, 'a string');
}

const CONTENT = 'a string or a list of {"type": "input_text", "text": string}';

function contentOf(raw: unknown, at: string): string {
  if (typeof raw === 'string') return wellFormed(raw, at);
  if (!Array.isArray(raw)) throw wrong(at, raw, CONTENT);
  return raw
    .map((part: unknown, i) => wellFormed(partText(part, `${at}[${i}]`), `${at}[${i}].text`))
    .join('');
}

/** The member of a content part that holds its text, by the part's type. */
const TEXT_PARTS: ReadonlyMap<unknown, string> = new Map([
  ['input_text', 'text'],
  ['output_text', 'text'],
  ['text', 'text'],
  ['refusal', 'refusal'],
]);

function partText(raw: unknown, at: string): string {
  const part: Readonly<Record<string, unknown>> =
    typeof raw === 'object' && raw !== null ? { ...raw } : {};
  const key = TEXT_PARTS.get(part['type']);
  const text = key === undefined ? undefined : part[key];
  if (typeof text === 'string') return text;
  throw wrong(at, raw, '{"type": "input_text", "text": string}: models here read text only');
}
