/** Bytes that break the WebSocket protocol (RFC 6455) in the middle of an answer: each ends its socket, with the code it calls for. */

import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Chance } from './chance.ts';
import { DEADLINE_MS } from './storm.ts';

const [MORE, TEXT, CLOSE, PING] = [0, 1, 8, 9];
const FIN = 0x80;

interface Built {
  readonly first?: number;
  readonly masked?: boolean;
  /** Written in place of the payload's own, in eight bytes. */
  readonly length?: bigint;
}

/** A frame as a client sends it, masked with zeros. */
function frame(opcode: number, payload: Buffer | string, built: Built = {}): Buffer {
  const { first = FIN | opcode, masked = true, length } = built;
  const bytes = Buffer.from(payload);
  const mask = masked ? 0x80 : 0;
  const head =
    length === undefined && bytes.length < 126
      ? Buffer.from([first, mask | bytes.length])
      : Buffer.from([first, mask | 127, ...eight(length ?? BigInt(bytes.length))]);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0), bytes]);
}

function eight(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

const repeated = (count: number, one: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => one));
const text = (first: number, payload = 'x'): Buffer => frame(TEXT, payload, { first });

/** What is sent, and the codes it may be closed with; 1006: closed without a word. */
const BROKEN: readonly (readonly [name: string, bytes: Buffer, codes: readonly number[]])[] = [
  ['not masked', frame(TEXT, '{}', { masked: false }), [1002]],
  ['a reserved bit', text(FIN | 0x40 | TEXT), [1002]],
  ['a reserved opcode', text(FIN | 3), [1002]],
  ['a reserved control opcode', text(FIN | 0xb), [1002]],
  ['nothing to go on from', text(FIN | MORE), [1002]],
  ['a message within a message', Buffer.concat([text(TEXT), text(TEXT)]), [1002]],
  ['a control frame in fragments', frame(PING, 'x', { first: PING }), [1002]],
  ['a long control frame', frame(PING, 'x'.repeat(200)), [1002]],
  ['a length beyond all', frame(TEXT, 'x', { length: 2n ** 63n }), [1002, 1009]],
  ['a length beyond the bound', frame(TEXT, 'x', { length: 70_000n }), [1009]],
  ['a message beyond the bound', frame(TEXT, 'x'.repeat(70_000)), [1009]],
  ['no UTF-8', frame(TEXT, Buffer.from([0xff, 0xc0, 0xaf])), [1007]],
  ['half a character', frame(TEXT, Buffer.from([0x22, 0xe2, 0x82])), [1007]],
  ['half a code', frame(CLOSE, Buffer.from([3])), [1002]],
  ['a code that is none', frame(CLOSE, Buffer.from([3, 0xed])), [1002]],
  ['a reason that is no UTF-8', frame(CLOSE, Buffer.from([3, 0xe8, 0xff])), [1007]],
  [
    'more fragments than a message may have',
    Buffer.concat([text(TEXT), repeated(17_000, frame(MORE, '', { first: MORE }))]),
    [1008],
  ],
  ['a flood of pings', repeated(5000, frame(PING, 'x'.repeat(100))), [1006]],
  ['half a frame', frame(TEXT, 'x', { length: 100n }).subarray(0, 9), [1006]],
  ['no words at all', Buffer.alloc(0), [1006]],
];

/** Opens a socket, asks for `opening` on it, breaks it; null, or what was wrong with its end. */
export async function breakSocket(
  base: string,
  path: string,
  opening: string,
  chance: Chance,
): Promise<string | null> {
  const [name, bytes, codes] = chance.pick(BROKEN);
  const socket = await opened(base, path);
  const code = closed(socket);
  socket.write(frame(TEXT, opening));
  socket.write(bytes);
  if (codes.includes(1006)) socket.end();
  const got = await code;
  return codes.includes(got) ? null : `${name}: closed with ${got}, not ${codes.join(' or ')}`;
}

function opened(base: string, path: string): Promise<Duplex> {
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
  };
  return new Promise((resolve, reject) => {
    const req = request(`${base}${path}`, { headers });
    req.on('upgrade', (_res, socket) => resolve(socket));
    req.on('response', (res) => reject(new Error(`status ${res.statusCode} to an upgrade`)));
    req.on('error', reject).end();
  });
}

/** The code that the server closes with. */
function closed(socket: Duplex): Promise<number> {
  let said: Buffer = Buffer.alloc(0);
  let code = 1006;
  return new Promise((resolve) => {
    const late = setTimeout(() => resolve(0), DEADLINE_MS);
    const over = (): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(code);
    };
    socket.on('data', (piece: Buffer) => {
      said = Buffer.concat([said, piece]);
      for (let next = taken(said); next !== null; next = taken(said)) {
        said = next.rest;
        if (next.opcode !== CLOSE) continue;
        code = next.payload.length >= 2 ? next.payload.readUInt16BE() : 1005;
        socket.end();
      }
    });
    socket.on('error', () => undefined); // a reset is an end
    socket.on('end', over).on('close', over);
  });
}

/** The first whole frame of a server's, and what follows it. */
function taken(bytes: Buffer): { opcode: number; payload: Buffer; rest: Buffer } | null {
  if (bytes.length < 10 && (bytes.length < 2 || (bytes[1]! & 127) > 125)) return null;
  const short = bytes[1]! & 127;
  const [from, length] =
    short < 126
      ? [2, short]
      : short === 126
        ? [4, bytes.readUInt16BE(2)]
        : [10, Number(bytes.readBigUInt64BE(2))];
  if (bytes.length < from + length) return null;
  const opcode = bytes[0]! & 15;
  return {
    opcode,
    payload: bytes.subarray(from, from + length),
    rest: bytes.subarray(from + length),
  };
}
