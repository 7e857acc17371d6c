/** Bytes on a socket that are no HTTP, or hardly: each gets a 4xx or is closed, and nothing stays open. */

import { connect } from 'node:net';
import { pooled } from '../support/pooled.ts';
import { Chance } from './chance.ts';

const HEAD = 'POST /v1/completions HTTP/1.1\r\nhost: a\r\n';
const JSON_HEAD = `${HEAD}content-type: application/json\r\n`;

const BYTES: readonly string[] = [
  '\0\0\0\0\r\n\r\n',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /v1/completions HTTP/1.1\r\n\r\n',
  'GET /%ff%fe/%zz HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /v1/models/%E0%A4%A HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /v1/models/__proto__ HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET /v1/responses/constructor HTTP/1.1\r\nhost: a\r\n\r\n',
  'GET http://example.org/ HTTP/1.1\r\nhost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n',
  `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
  `${HEAD}${'x: y\r\n'.repeat(4000)}\r\n`,
  `${HEAD}x: ${'y'.repeat(40_000)}\r\n\r\n`,
  `${HEAD}bad header\r\n\r\n`,
  `${JSON_HEAD}content-length: -1\r\n\r\n`,
  `${JSON_HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`,
  `${JSON_HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${JSON_HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
  `${JSON_HEAD}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}`,
  `${JSON_HEAD}transfer-encoding: gzip\r\n\r\n{}`,
  `${JSON_HEAD}content-length: 2\r\n\r\n{}GET /health HTTP/1.1\r\nhost: a\r\n\r\n`,
  'GET /v1/completions HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  'GET /nowhere HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  'GET /v1/completions HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000\u0001', // a TLS hello
];

/** One of them whole, cut short, or with a byte flipped. */
function bytesOf(chance: Chance): Buffer {
  const bytes = Buffer.from(chance.pick(BYTES), 'latin1');
  if (chance.is(0.2)) return bytes.subarray(0, chance.integer(0, bytes.length));
  if (chance.is(0.5)) bytes[chance.integer(0, bytes.length - 1)]! ^= 1 << chance.integer(0, 7);
  return bytes;
}

/** All that the server says until it closes or, half a connection being closed to it, has said all. */
function said(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', timeout: 60_000 });
    socket.on('data', (piece) => (text += piece.toString('latin1')));
    socket.on('timeout', () => socket.destroy(new Error('neither an answer nor an end')));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(text) : reject(error),
    );
    socket.on('close', () => resolve(text));
    socket.end(bytes);
  });
}

export interface Bytes {
  readonly port: number;
  readonly cases: number;
  readonly seed: number;
}

export async function stormBytes({ port, cases, seed }: Bytes) {
  const statuses: Record<string, number> = {};
  const faults: string[] = [];
  const numbers = Array.from({ length: cases }, (_, i) => i);
  await pooled(numbers, 8, async (i) => {
    const bytes = bytesOf(new Chance(seed * 1_000_003 + i));
    const answer = await said(port, bytes).catch((error: unknown) => `no end: ${String(error)}`);
    const status = /^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? (answer === '' ? 'closed' : 'none');
    statuses[status] = (statuses[status] ?? 0) + 1;
    if (status === 'none' || status.startsWith('5'))
      faults.push(
        `bytes ${i}: ${answer.slice(0, 200)}: ${JSON.stringify(bytes.toString('latin1').slice(0, 300))}`,
      );
  });
  return { statuses, faults };
}
