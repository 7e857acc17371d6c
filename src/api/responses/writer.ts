/** Events of one request to those of the Responses API, numbered and in OpenAI's order. */

import type { Failure } from '../../core/errors.ts';
import type { StreamEvent } from '../../core/events.ts';
import type { Draw, Finish } from '../../core/tree.ts';
import type { PlannedResponse } from '../../plan/responses.ts';
import type { Reports } from '../accounts.ts';
import { CallReader } from '../call_reader.ts';
import type { Said } from '../call_reader.ts';
import { chatLogprobs, explained } from '../logprobs.ts';
import { errorBody } from '../reply.ts';
import type { Writer } from '../surface.ts';
import {
  callItem,
  callItemId,
  itemId,
  messageItem,
  outputItems,
  responseObject,
  statusOf,
  textPart,
} from './object.ts';
import type { ItemStatus, ResponseObject, Status } from './object.ts';

/** Is told the last state of a response that may be gone on from. */
export type Keep = (response: ResponseObject, text: string) => void;

/** What is being told: the answer's one message, or one of its calls. */
type Item =
  | { readonly kind: 'message'; text: string }
  | {
      readonly kind: 'call';
      readonly index: number;
      readonly call: { readonly name: string; arguments: string };
    };

export class ResponseWriter implements Writer {
  readonly #planned: PlannedResponse;
  readonly #created: number;
  readonly #keep: Keep;
  /** Members that place an event in the message's one part. */
  readonly #place: string;
  readonly #draws: Draw[] = [];
  /** Null where an answer can hold no calls: it is text. */
  readonly #reader: CallReader | null;
  /** All that the answer spells, its calls' own words included. */
  #text = '';
  /** Draws whose text has not been told yet. */
  #untold: Draw[] = [];
  #sequence = 0;
  #begun = false;
  /** The item at hand; null before the first. */
  #item: Item | null = null;
  /** Null until the text has ended. */
  #reason: Finish | null = null;

  constructor(planned: PlannedResponse, created: number, keep: Keep) {
    this.#planned = planned;
    this.#created = created;
    this.#keep = keep;
    this.#reader = planned.answer.calls ? new CallReader() : null;
    const item = JSON.stringify(itemId(planned.answer.id));
    this.#place = `"item_id":${item},"output_index":0,"content_index":0`;
  }

  begin(): string[] {
    if (this.#begun) return [];
    this.#begun = true;
    const response = JSON.stringify(this.#response('in_progress', null, []));
    return [
      this.#event('response.created', `"response":${response}`),
      this.#event('response.in_progress', `"response":${response}`),
    ];
  }

  /** The answer's item comes with the first text. */
  commit({ text, draws }: Extract<StreamEvent, { kind: 'commit' }>): string[] {
    const events = this.begin();
    this.#text += text;
    for (const draw of draws) {
      this.#draws.push(draw);
      this.#untold.push(draw);
    }
    const said: readonly Said[] = this.#reader?.read(text) ?? [{ kind: 'text', text }];
    for (const one of said) events.push(...this.#say(one));
    return events;
  }

  finish({ reason }: Extract<StreamEvent, { kind: 'finish' }>): string[] {
    this.#reason = reason;
    const events = this.begin();
    for (const one of this.#reader?.end() ?? []) events.push(...this.#say(one));
    if (this.#item?.kind !== 'call') events.push(...this.#sayText('')); // what draws are left
    return [...events, ...this.#ended(statusOf(reason))];
  }

  #say(said: Said): string[] {
    switch (said.kind) {
      case 'text':
        return this.#sayText(said.text);
      case 'call':
        return [...this.#ended('completed'), ...this.#openCall(said.index, said.name)];
      case 'arguments':
        return this.#sayArguments(said.text);
      default:
        return said satisfies never;
    }
  }

  #openMessage(): string[] {
    this.#item = { kind: 'message', text: '' };
    const item = JSON.stringify(messageItem(this.#planned, 'in_progress', []));
    const part = JSON.stringify(textPart(this.#planned, '', []));
    return [
      this.#event('response.output_item.added', `"output_index":0,"item":${item}`),
      this.#event('response.content_part.added', `${this.#place},"part":${part}`),
    ];
  }

  #sayText(text: string): string[] {
    const events = this.#item === null ? this.#openMessage() : [];
    const draws = this.#untold;
    if (text === '' && draws.length === 0) return events;
    this.#untold = [];
    if (this.#item?.kind === 'message') this.#item.text += text;
    const { answer } = this.#planned;
    const logprobs =
      answer.logprobs === null
        ? '[]'
        : JSON.stringify(chatLogprobs(draws, answer.codec, answer.logprobs));
    const why = answer.explain
      ? `,"alignment":${JSON.stringify({ tokens: explained(draws, answer) })}`
      : '';
    const delta = `"delta":${JSON.stringify(text)},"logprobs":${logprobs}${why}`;
    events.push(this.#event('response.output_text.delta', `${this.#place},${delta}`));
    return events;
  }

  #openCall(index: number, name: string): string[] {
    this.#item = { kind: 'call', index, call: { name, arguments: '' } };
    const item = callItem(this.#planned, index, this.#item.call, 'in_progress');
    const members = `"output_index":${index},"item":${JSON.stringify(item)}`;
    return [this.#event('response.output_item.added', members)];
  }

  #sayArguments(text: string): string[] {
    if (this.#item?.kind !== 'call') return [];
    this.#item.call.arguments += text;
    const members = `${this.#placeOf(this.#item.index)},"delta":${JSON.stringify(text)}`;
    return [this.#event('response.function_call_arguments.delta', members)];
  }

  /** Members that place an event in a call. */
  #placeOf(index: number): string {
    const item = JSON.stringify(callItemId(this.#planned.answer.id, index));
    return `"item_id":${item},"output_index":${index}`;
  }

  closing(reports: Reports): string[] {
    const status = statusOf(this.#reason);
    return [this.#last(`response.${status}`, status, reports)];
  }

  /** There is no event of that name: a generic client knows `incomplete` as an end. */
  cancelled(): string[] {
    const begun = this.begin();
    const ended = this.#reason === null ? this.#ended('cancelled') : [];
    return [...begun, ...ended, this.#last('response.incomplete', 'cancelled', null)];
  }

  /** `error` says it twice, since clients read either its `error` or its own members. */
  failed(failure: Failure, request: string): string[] {
    const { error } = errorBody(failure, request);
    const { code, message, param } = error;
    const members = { code, message, param, error };
    const response = this.#response('failed', null, []);
    const told = {
      code: error.type === 'rate_limit_error' ? 'rate_limit_exceeded' : 'server_error',
      message,
    };
    return [
      ...this.begin(),
      this.#event('error', JSON.stringify(members).slice(1, -1)),
      this.#event('response.failed', `"response":${JSON.stringify({ ...response, error: told })}`),
    ];
  }

  /** The item at hand has ended, with all its parts. */
  #ended(ended: Status): string[] {
    const status = ended === 'completed' ? ended : 'incomplete';
    if (this.#item?.kind === 'message') return this.#endedMessage(this.#item.text, status);
    return this.#item === null ? [] : this.#endedCall(this.#item, status);
  }

  #endedMessage(text: string, status: ItemStatus): string[] {
    const part = textPart(this.#planned, text, this.#draws);
    const done = JSON.stringify({ text: part.text, logprobs: part.logprobs }).slice(1, -1);
    const item = JSON.stringify(messageItem(this.#planned, status, [part]));
    return [
      this.#event('response.output_text.done', `${this.#place},${done}`),
      this.#event('response.content_part.done', `${this.#place},"part":${JSON.stringify(part)}`),
      this.#event('response.output_item.done', `"output_index":0,"item":${item}`),
    ];
  }

  #endedCall({ index, call }: Extract<Item, { kind: 'call' }>, status: ItemStatus): string[] {
    const item = JSON.stringify(callItem(this.#planned, index, call, status));
    const done = JSON.stringify(call).slice(1, -1);
    return [
      this.#event('response.function_call_arguments.done', `${this.#placeOf(index)},${done}`),
      this.#event('response.output_item.done', `"output_index":${index},"item":${item}`),
    ];
  }

  #last(type: string, status: Status, reports: Reports | null): string {
    const ended = status === 'completed' ? status : 'incomplete';
    const output = this.#item ? outputItems(this.#planned, this.#text, this.#draws, ended) : [];
    const response = this.#response(status, reports, output);
    this.#keep(response, this.#text);
    return this.#event(type, `"response":${JSON.stringify(response)}`);
  }

  #response(status: Status, reports: Reports | null, output: readonly object[]): ResponseObject {
    const progress = { status, reports };
    return responseObject(this.#planned, this.#created, progress, output);
  }

  #event(type: string, members: string): string {
    return `{"type":"${type}","sequence_number":${this.#sequence++},${members}}`;
  }
}
