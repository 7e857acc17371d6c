/** Errors in OpenAI's shape, with the headers that tell a client whether to try again. */

import type { Response } from 'express';
import { STATUS, ServeError, toFailure } from '../core/errors.ts';
import type { ErrorCode, Failure } from '../core/errors.ts';
import { rest } from './body.ts';
import type { Caller } from './callers/allowance.ts';

interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: ErrorCode;
  };
}

/** A 5xx carries the request's id, since it shows nothing else. */
export function errorBody({ code, message, param }: Failure, requestId: string): ErrorBody {
  const status = STATUS[code];
  const told = status >= 500 && requestId !== '' ? `${message} (request ${requestId})` : message;
  return { error: { message: told, type: typeOf(status), param, code } };
}

/** OpenAI's own names of error types. */
function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}

const RETRY_AFTER_SECONDS = 1;

/** Failures that the same request would meet again, after the same cost. */
const FINAL: readonly ErrorCode[] = ['internal_error', 'reward_failed'];

export function sendFailure(res: Response, failure: Failure): void {
  const caller = found(res);
  if (caller) res.setHeaders(new Map(Object.entries(caller.headers)));
  res.setHeaders(new Map(Object.entries(failureHeaders(failure))));
  const body = errorBody(failure, requestId(res));
  res.status(STATUS[failure.code]);
  if (failure.code === 'body_too_large') void beforeTheRest(res, JSON.stringify(body));
  else res.json(body);
}

/** Closed at once, the connection would be reset under a client that still sends, and it might never see the answer. */
async function beforeTheRest(res: Response, json: string): Promise<void> {
  res.type('json').setHeader('content-length', Buffer.byteLength(json));
  res.write(json);
  await rest(res.req);
  res.end();
}

/** What a client should do about a failure. */
export function failureHeaders({ code, retryAfter }: Failure): Readonly<Record<string, string>> {
  const status = STATUS[code];
  return {
    ...(status === 429 || status === 503
      ? { 'retry-after': `${retryAfter ?? RETRY_AFTER_SECONDS}` }
      : {}),
    ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(FINAL.includes(code) ? { 'x-should-retry': 'false' } : {}),
    ...(status === 413 ? { connection: 'close' } : {}),
  };
}

/** Who asks; null before the server has let them in. */
const found = ({ locals }: Response): Caller | null =>
  (locals as { caller?: Caller }).caller ?? null;

/** Who asks, on a route that is not open to all. */
export function callerOf(res: Response): Caller {
  const caller = found(res);
  if (!caller) throw new Error('this route is open: nobody was asked for a key');
  return caller;
}

export const requestId = (res: Response): string => String(res.getHeader('x-request-id') ?? '');

export function draining(): ServeError {
  return new ServeError('draining', 'this server is stopping and takes no new requests');
}

export function cutShort(): ServeError {
  return new ServeError('draining', 'this server has stopped before the answer was complete');
}

/** What the router throws, in our words. */
export function knownFailure(error: unknown): Failure {
  const status =
    typeof error === 'object' && error !== null && 'status' in error ? error.status : 500;
  if (error instanceof ServeError || typeof status !== 'number' || status >= 500)
    return toFailure(error);
  return { code: 'invalid_value', message: 'the request could not be read', param: null };
}
