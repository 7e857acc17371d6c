/** What Node could not read as HTTP is answered in the shape of every other error. */

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { STATUS } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import { errorBody } from './reply.ts';

type Refusal = readonly [code: ErrorCode, message: string];

/** By Node's error code. */
const KNOWN: ReadonlyMap<unknown, Refusal> = new Map([
  ['HPE_HEADER_OVERFLOW', ['headers_too_large', 'the headers are larger than this server reads']],
  ['ERR_HTTP_REQUEST_TIMEOUT', ['request_timeout', 'the request took too long to arrive']],
] as const);
const UNREADABLE: Refusal = ['malformed_request', 'this could not be read as HTTP'];

/** Answers, if somebody is still there to read it, and closes. */
export function refuseMalformed(error: Error, socket: Duplex): void {
  const reason = 'code' in error ? error.code : null;
  if (reason === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const [code, message] = KNOWN.get(reason) ?? UNREADABLE;
  socket.end(rawFailure(code, message));
}

/** A whole HTTP response, for sockets that have no response object. */
export function rawFailure(code: ErrorCode, message: string): string {
  const status = STATUS[code];
  const body = JSON.stringify(errorBody({ code, message, param: null }, ''));
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
  const type = 'content-type: application/json; charset=utf-8';
  return `${head}\r\nconnection: close\r\n${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
