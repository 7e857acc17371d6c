/** What Node could not read as HTTP is answered in the shape of every other error. */

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { STATUS } from '../core/errors.ts';
import type { ErrorCode, Failure } from '../core/errors.ts';
import { errorBody, failureHeaders } from './reply.ts';

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
  refuseRaw(socket, { code, message, param: null });
}

/** Answers over a socket that has no response object, and closes it, whether or not the other side ever does. */
export function refuseRaw(socket: Duplex, failure: Failure): void {
  const status = STATUS[failure.code];
  const body = JSON.stringify(errorBody(failure, ''));
  const headers = {
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...failureHeaders(failure),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => undefined);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`);
}
