/** What a model is to read: prompts as the client wrote them, rendered by each model's own codec. Text is bounded before it is encoded. */

import { ServeError } from '../core/errors.ts';
import { joinPath, show, wrong } from '../core/fields.ts';
import { sum } from '../core/math.ts';
import type { ChatMessage } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import type { ModelCard } from './catalog.ts';
import { spokenCalls, spokenResult } from './spoken.ts';
import type { ChatWire, OwnPrompt } from './wire.ts';

/** One prompt of a request; `at` is the path of its field. */
export type Source =
  | { readonly kind: 'text'; readonly text: string; readonly at: string }
  | { readonly kind: 'tokens'; readonly tokens: readonly Token[]; readonly at: string }
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[]; readonly at: string };

type ChatSource = Extract<Source, { kind: 'chat' }>;

const FORMS = 'a string, a list of strings, a list of token ids, or a list of such lists';

/** All forms of a completion's `prompt`. */
export function completionSources(raw: unknown, prompts: number, vocab: number): Source[] {
  if (typeof raw === 'string')
    return [{ kind: 'text', text: wellFormed(raw, 'prompt'), at: 'prompt' }];
  if (!Array.isArray(raw)) throw wrong('prompt', raw ?? undefined, FORMS);
  const items: readonly unknown[] = raw;
  if (items.length === 0) throw wrong('prompt', raw, `${FORMS}, with at least one entry`);
  if (typeof items[0] === 'number') return [tokenSource(items, vocab, 'prompt')];
  if (items.length > prompts) throw wrong('prompt', raw, `a list of 1 to ${prompts} prompts`);
  return items.map((item, i) => {
    const at = `prompt[${i}]`;
    if (typeof item === 'string') return { kind: 'text', text: wellFormed(item, at), at };
    if (Array.isArray(item) && item.length > 0) return tokenSource(item, vocab, at);
    throw wrong(at, item, 'a string, or a list of at least one token id, like the other entries');
  });
}

const LONGEST_IDS = 1_000_000;

function tokenSource(items: readonly unknown[], vocab: number, at: string): Source {
  const tokens = tokenIds(items, vocab, at, LONGEST_IDS);
  return { kind: 'tokens', tokens, at };
}

/** Token ids of a vocabulary of `vocab`. */
export function tokenIds(raw: unknown, vocab: number, at: string, longest: number): Token[] {
  if (!Array.isArray(raw) || raw.length > longest)
    throw wrong(at, raw, `a list of at most ${longest} token ids`);
  return raw.map((id: unknown, i) => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocab) return id;
    throw wrong(joinPath(at, [i]), id, `a token id, an integer from 0 to ${vocab - 1}`);
  });
}

/** The messages of a chat; contents are strings or lists of text parts. */
export function chatSource(wire: ChatWire['messages'], path = 'messages'): ChatSource {
  const messages = wire.map((message, i) => messageOf(message, `${path}[${i}]`));
  return { kind: 'chat', messages, at: path };
}

type MessageWire = ChatWire['messages'][number];

function messageOf({ role, content, ...tool }: MessageWire, at: string): ChatMessage {
  const calls = role === 'assistant' ? (tool.tool_calls ?? null) : null;
  const said =
    calls !== null && (content ?? null) === null ? '' : contentText(content, `${at}.content`);
  if (calls !== null)
    return { role: 'assistant', content: spokenCalls(calls, said, `${at}.tool_calls`) };
  if (role === 'tool') return spokenResult(tool.tool_call_id, said, at);
  return { role: role === 'developer' ? 'system' : role, content: said };
}

const CONTENT = 'a string or a list of {"type": "text", "text": string}';

function contentText(raw: unknown, at: string): string {
  if (typeof raw === 'string') return wellFormed(raw, at);
  if (!Array.isArray(raw)) throw wrong(at, raw ?? undefined, CONTENT);
  return raw
    .map((part: unknown, i) => {
      const text = textOfPart(part);
      if (text === null) throw wrong(`${at}[${i}]`, part, '{"type": "text", "text": string}');
      return wellFormed(text, `${at}[${i}].text`);
    })
    .join('');
}

function textOfPart(part: unknown): string | null {
  if (typeof part !== 'object' || part === null) return null;
  if (!('type' in part && part.type === 'text' && 'text' in part)) return null;
  return typeof part.text === 'string' ? part.text : null;
}

/** The text itself, if it is valid Unicode. */
export function wellFormed(text: string, at: string): string {
  const lone = text.search(/\p{Surrogate}/u);
  if (lone < 0) return text;
  const unit = text.charCodeAt(lone).toString(16);
  throw new ServeError(
    'invalid_value',
    `${at} holds half a surrogate pair (\\u${unit}) at position ${lone}; it must be valid Unicode`,
    at,
  );
}

/** Tokens of a source for one model, under the guide's own prompt if it brings one. */
export function render(card: ModelCard, source: Source, own: OwnPrompt, ownAt: string): Token[] {
  const effective = own ? withOwn(source, own, ownAt) : source;
  switch (effective.kind) {
    case 'tokens':
      return [...effective.tokens];
    case 'text':
      refuseLonger(card, Buffer.byteLength(effective.text), effective.at);
      return card.codec.prompt(effective.text);
    case 'chat':
      refuseLonger(card, contentBytes(effective.messages), effective.at);
      return templated(card, effective.messages, effective.at);
    default:
      return effective satisfies never;
  }
}

/**
 * `render` for one request: a prompt of a guide's or a reward's own that stands for every prompt, and a prompt that
 * several read alike, are encoded once.
 */
export function renderer(): (...asked: Parameters<typeof render>) => readonly Token[] {
  const known = new Map<ModelCard, Map<object, readonly Token[]>>();
  return (card, source, own, ownAt) => {
    // A system message of its own goes with the others of a chat, so it is not read alike with each.
    if (own && typeof own.text !== 'string') return render(card, source, own, ownAt);
    const read = own ?? source;
    const before = known.get(card) ?? new Map<object, readonly Token[]>();
    known.set(card, before);
    const tokens = before.get(read) ?? render(card, source, own, ownAt);
    before.set(read, tokens);
    return tokens;
  };
}

/** Tokens of a text that goes on, such as an answer: no start token. */
export function continued(card: ModelCard, text: string, at: string): Token[] {
  refuseLonger(card, Buffer.byteLength(text), at);
  return card.codec.encode(text);
}

function templated(card: ModelCard, messages: readonly ChatMessage[], at: string): Token[] {
  try {
    return card.codec.chat(messages);
  } catch (error) {
    if (!(error instanceof ServeError)) throw error;
    throw new ServeError(error.code, `${card.name}: ${error.message}`, error.param ?? at);
  }
}

/** A guide may read the same continuation after a prompt of its own. */
function withOwn(source: Source, own: NonNullable<OwnPrompt>, at: string): Source {
  if (source.kind === 'chat') {
    if (typeof own.text === 'string')
      throw wrong(`${at}.text`, own.text, 'left out in a chat: give `system` instead');
    if (typeof own.system !== 'string') return source;
    const system = { role: 'system', content: wellFormed(own.system, `${at}.system`) } as const;
    const others = source.messages.filter(({ role }) => role !== 'system');
    return { kind: 'chat', messages: [system, ...others], at: `${at}.system` };
  }
  if (typeof own.system === 'string')
    throw wrong(`${at}.system`, own.system, 'left out for a completion: give `text` instead');
  if (typeof own.text !== 'string') return source;
  return { kind: 'text', text: wellFormed(own.text, `${at}.text`), at: `${at}.text` };
}

const contentBytes = (messages: readonly ChatMessage[]): number =>
  sum(messages.map(({ content }) => Buffer.byteLength(content)));

/** Encoding is linear in the text: what cannot fit is refused by its length alone. */
function refuseLonger(card: ModelCard, bytes: number, at: string): void {
  const most = card.codec.longestToken * card.context;
  if (bytes <= most) return;
  throw new ServeError(
    'context_length_exceeded',
    `${at} is ${bytes} bytes long; ${card.name} reads ${card.context} tokens, at most ${most} bytes`,
    at,
  );
}

/** What a reward reads, and what `echo` repeats. */
export function sourceText(source: Source, card: ModelCard): string {
  switch (source.kind) {
    case 'text':
      return source.text;
    case 'tokens':
      return card.codec.decode(source.tokens);
    case 'chat':
      return source.messages.map(({ content }) => content).join('\n');
    default:
      return source satisfies never;
  }
}

/** A list of stop strings, or one. */
export function stopStrings(raw: unknown, most: number, longest: number): string[] {
  if (raw === undefined || raw === null) return [];
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
  const rule = `a string of 1 to ${longest} characters, or a list of at most ${most} of them`;
  if (items.length > most) throw wrong('stop', raw, rule);
  return items.map((item, i) => {
    const at = Array.isArray(raw) ? `stop[${i}]` : 'stop';
    if (typeof item === 'string' && item.length > 0 && item.length <= longest)
      return wellFormed(item, at);
    throw wrong(at, item, rule);
  });
}

/** `{"token id": bias}`. */
export function logitBias(raw: unknown, most: number, vocab: number): [Token, number][] {
  if (raw === undefined || raw === null) return [];
  const rule = `an object of at most ${most} token ids, each with a number from -100 to 100`;
  if (typeof raw !== 'object' || Array.isArray(raw)) throw wrong('logit_bias', raw, rule);
  const entries: [string, unknown][] = Object.entries(raw);
  if (entries.length > most) throw wrong('logit_bias', entries, rule);
  return entries.map(([key, value]) => {
    if (!/^(0|[1-9]\d{0,9})$/.test(key) || Number(key) >= vocab)
      throw new ServeError(
        'invalid_value',
        `logit_bias has the key ${show(key)}; keys are token ids, from "0" to "${vocab - 1}"`,
        'logit_bias',
      );
    if (typeof value !== 'number' || !(Math.abs(value) <= 100))
      throw wrong(joinPath('logit_bias', [key]), value, 'a number from -100 to 100');
    return [Number(key), value];
  });
}
