/** What an endpoint that generates says in its own words; streaming, collecting, cancelling and counting are shared. */

import type { Failure } from '../core/errors.ts';
import type { StreamEvent } from '../core/events.ts';
import type { Planner } from '../plan/parse.ts';
import type { Planned, Ticket } from '../plan/request.ts';
import type { Reports } from './accounts.ts';
import type { Dialect } from './sockets/dialect.ts';
import type { Told } from './whole.ts';

export interface Surface {
  /** Its path, and its name in metrics. */
  readonly endpoint: string;
  readonly idPrefix: string;
  /** WebSocket frames: what asks for an answer, and what carries a chunk of one. */
  readonly createFrame: string;
  readonly chunkFrame: string;
  /** Surfaces of one dialect are served on one socket. */
  readonly dialect: Dialect;
  readonly sse: SseWords;
  /** @throws ServeError if the request is not valid */
  plan(planner: Planner, body: unknown, ticket: Ticket): Worded;
  /** Itself with a memory that one socket has to itself; left out: it needs none. */
  forSocket?(): Surface;
}

/** How chunks stand in a stream of server-sent events. */
export interface SseWords {
  message(chunk: string): string;
  /** After the last chunk. */
  readonly end: string;
}

/** A valid request, and how its answer is worded; `created` is in seconds since the epoch. */
export interface Worded extends Planned {
  /** For an answer that streams. */
  writer(created: number): Writer;
  /** An answer in one piece. */
  whole(told: Told, created: number, reports: Reports): object;
}

/** Events of one request to the JSON of its chunks, in order. */
export interface Writer {
  /** What is said once the request is accepted, or with the first text. */
  begin(): string[];
  /** Told with the first chunk of each of the prompt's choices; left out: its answers repeat no prompt. */
  prompt?(event: Extract<StreamEvent, { kind: 'prompt' }>): void;
  commit(event: Extract<StreamEvent, { kind: 'commit' }>): string[];
  finish(event: Extract<StreamEvent, { kind: 'finish' }>): string[];
  /** After the last choice. */
  closing(reports: Reports): string[];
  /** Instead of `closing`, where the request has failed after its first chunk. */
  failed(failure: Failure, request: string): string[];
  /** Instead of `closing`, where the client has cancelled. */
  cancelled(): string[];
}
