/** How requests on a WebSocket are named, and how their answers are framed. Surfaces of one dialect may share a socket. */

import { STATUS, ServeError } from '../../core/errors.ts';
import type { Failure } from '../../core/errors.ts';
import { show, wrong } from '../../core/fields.ts';
import type { Ending } from '../relay.ts';
import { errorBody } from '../reply.ts';
import type { Writer } from '../surface.ts';

export interface Dialect {
  /** Where a client names its requests. */
  readonly field: 'id' | 'stream_id';
  /**
   * Names are lines: a request waits for those before it on its line, a socket has only so many lines, and it does not
   * last for ever. Otherwise a name in use is refused to others.
   */
  readonly lines: boolean;
  /**
   * The name of a request; empty for the line that has none.
   * @throws ServeError if it cannot be one
   */
  name(given: unknown): string;
  /** @param type of frames that carry a chunk */
  framer(name: string, type: string): Framer;
  /** What follows the last chunk. */
  closing(name: string, ending: Ending, writer: Writer): string[];
  /** A request that has not begun; null: its name is not known. */
  refusal(name: string | null, failure: Failure): string;
}

/** JSON of a chunk to a frame. */
export interface Framer {
  chunk(json: string): string;
  /** What only those see who asked for it. */
  aside(type: string, json: string): string;
}

const MAX_ID = 128;

/** Chunks as `data` under the client's own id; `done` or `error` last. */
export const byId: Dialect = {
  field: 'id',
  lines: false,
  name(given) {
    if (typeof given === 'string' && given.length > 0 && given.length <= MAX_ID) return given;
    throw wrong('id', given, `a string of 1 to ${MAX_ID} characters, chosen by the client`);
  },
  framer(name, type) {
    const rest = `,"id":${JSON.stringify(name)},"data":`;
    const head = `{"type":${JSON.stringify(type)}${rest}`;
    return {
      chunk: (json) => `${head}${json}}`,
      aside: (kind, json) => `{"type":"${kind}"${rest}${json}}`,
    };
  },
  closing(id, ending) {
    switch (ending.kind) {
      case 'ok':
        return [JSON.stringify({ type: 'done', id })];
      case 'cancelled':
        return [JSON.stringify({ type: 'done', id, cancelled: true })];
      case 'failed':
        return [byId.refusal(id, ending.failure)];
      default:
        return ending satisfies never;
    }
  },
  refusal: (id, failure) =>
    JSON.stringify({
      type: 'error',
      id: id?.slice(0, MAX_ID) ?? null,
      ...errorBody(failure, id ?? ''),
    }),
};

const STREAM_ID = /^[\w.-]{1,256}$/;

/** OpenAI's WebSocket mode: events as they are, with the id of their stream if it has one. */
export const byStream: Dialect = {
  field: 'stream_id',
  lines: true,
  name(given) {
    if (given === undefined || given === null) return '';
    if (typeof given === 'string' && STREAM_ID.test(given)) return given;
    throw new ServeError(
      'invalid_stream_id',
      `stream_id is ${show(given)}; it must be 1 to 256 letters, digits, underscores, hyphens and periods, or left out`,
      'stream_id',
    );
  },
  framer(name) {
    const stream = streamMember(name);
    return {
      chunk: (json) => `{${stream}${json.slice(1)}`,
      aside: (kind, json) => `{${stream}"type":"${kind}",${json.slice(1)}`,
    };
  },
  closing(name, ending, writer) {
    const framer = byStream.framer(name, '');
    const framed = (events: string[]) => events.map((event) => framer.chunk(event));
    if (ending.kind === 'cancelled') return framed(writer.cancelled());
    return ending.kind === 'failed' ? framed(writer.failed(ending.failure, '')) : [];
  },
  refusal(name, failure) {
    const { error } = errorBody(failure, '');
    const { code, message, param } = error;
    const members = { type: 'error', status: STATUS[failure.code], code, message, param, error };
    return `{${streamMember(name ?? '')}${JSON.stringify(members).slice(1)}`;
  },
};

/** What is not the id of a stream is not repeated. */
const streamMember = (name: string): string =>
  STREAM_ID.test(name) ? `"stream_id":"${name}",` : '';
