/** Events of one request to those of the Responses API, numbered and in OpenAI's order. */

import type { Failure } from '../core/errors.ts';
import type { StreamEvent } from '../core/events.ts';
import type { Draw, Finish } from '../core/tree.ts';
import type { AdmittedResponse } from '../plan/responses.ts';
import type { Reports } from './accounts.ts';
import { chatLogprobs, explained } from './logprobs.ts';
import { errorBody } from './reply.ts';
import { itemId, messageItem, responseObject, statusOf, textPart } from './response_object.ts';
import type { ResponseObject, Status } from './response_object.ts';
import type { Writer } from './surface.ts';

/** Is told the last state of a response that may be gone on from. */
export type Keep = (response: ResponseObject, text: string) => void;

export class ResponseWriter implements Writer {
  readonly #admitted: AdmittedResponse;
  readonly #created: number;
  readonly #keep: Keep;
  /** Members that place an event in the answer's one part. */
  readonly #place: string;
  readonly #draws: Draw[] = [];
  #text = '';
  #sequence = 0;
  #begun = false;
  #opened = false;
  /** Null until the text has ended. */
  #reason: Finish | null = null;

  constructor(admitted: AdmittedResponse, created: number, keep: Keep) {
    this.#admitted = admitted;
    this.#created = created;
    this.#keep = keep;
    const item = JSON.stringify(itemId(admitted.answer.id));
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

  /** The answer's item and its part come with the first text. */
  #open(): string[] {
    const events = this.begin();
    if (this.#opened) return events;
    this.#opened = true;
    const item = JSON.stringify(messageItem(this.#admitted, 'in_progress', []));
    const part = JSON.stringify(textPart(this.#admitted, '', []));
    events.push(
      this.#event('response.output_item.added', `"output_index":0,"item":${item}`),
      this.#event('response.content_part.added', `${this.#place},"part":${part}`),
    );
    return events;
  }

  commit({ text, draws }: Extract<StreamEvent, { kind: 'commit' }>): string[] {
    const events = this.#open();
    if (text === '' && draws.length === 0) return events;
    this.#text += text;
    for (const draw of draws) this.#draws.push(draw);
    const { answer } = this.#admitted;
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

  finish({ reason }: Extract<StreamEvent, { kind: 'finish' }>): string[] {
    this.#reason = reason;
    return [...this.#open(), ...this.#ended(statusOf(reason))];
  }

  closing(reports: Reports): string[] {
    const status = statusOf(this.#reason);
    return [this.#last(`response.${status}`, status, reports)];
  }

  /** There is no event of that name: a generic client knows `incomplete` as an end. */
  cancelled(): string[] {
    const begun = this.begin();
    const ended = this.#opened && this.#reason === null ? this.#ended('cancelled') : [];
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

  /** The text, its part and its item have ended. */
  #ended(status: Status): string[] {
    const part = textPart(this.#admitted, this.#text, this.#draws);
    const done = JSON.stringify({ text: part.text, logprobs: part.logprobs }).slice(1, -1);
    const item = JSON.stringify(this.#item(status));
    return [
      this.#event('response.output_text.done', `${this.#place},${done}`),
      this.#event('response.content_part.done', `${this.#place},"part":${JSON.stringify(part)}`),
      this.#event('response.output_item.done', `"output_index":0,"item":${item}`),
    ];
  }

  #item(status: Status): object {
    const part = textPart(this.#admitted, this.#text, this.#draws);
    return messageItem(this.#admitted, status === 'completed' ? status : 'incomplete', [part]);
  }

  #last(type: string, status: Status, reports: Reports | null): string {
    const response = this.#response(status, reports, this.#opened ? [this.#item(status)] : []);
    this.#keep(response, this.#text);
    return this.#event(type, `"response":${JSON.stringify(response)}`);
  }

  #response(status: Status, reports: Reports | null, output: readonly object[]): ResponseObject {
    const progress = { status, reports };
    return responseObject(this.#admitted, this.#created, progress, output);
  }

  #event(type: string, members: string): string {
    return `{"type":"${type}","sequence_number":${this.#sequence++},${members}}`;
  }
}
