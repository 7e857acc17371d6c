/** Clients that do not behave, on real sockets. */

import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';

/** A raw connection, and all that came back until it was closed. */
function raw(port: number): { socket: Socket; closed: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  socket.on('error', () => undefined);
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve(text))) };
}

test('headers that drip are cut off at the deadline, and others are served meanwhile', async () => {
  await using server = await served({ request_ms: 200 });
  const drips = Array.from({ length: 20 }, () => {
    const { socket, closed } = raw(server.port);
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n');
    const timer = setInterval(() => socket.write('a: b\r\n'), 50);
    socket.on('close', () => clearInterval(timer));
    return closed;
  });
  expect((await server.post('/v1/completions', { prompt: 'x', max_tokens: 2 })).status).toBe(200);
  for (const answer of await Promise.all(drips)) expect(answer).toMatch(/^HTTP\/1\.1 408/);
});

test('a body that drips is cut off at the deadline', async () => {
  await using server = await served({ request_ms: 200 });
  const { socket, closed } = raw(server.port);
  socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n');
  socket.write('content-length: 1000\r\n\r\n{');
  const timer = setInterval(() => socket.write(' '), 50);
  expect(await closed).toMatch(/^HTTP\/1\.1 408/);
  clearInterval(timer);
});

test('bytes that are no request, and headers above the bound, are refused', async () => {
  await using server = await served({ header_bytes: 2048 });
  const noise = raw(server.port);
  noise.socket.write('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n');
  expect(await noise.closed).toMatch(/^HTTP\/1\.1 400/);
  const large = raw(server.port);
  large.socket.write(`GET /health HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(3000)}\r\n\r\n`);
  expect(await large.closed).toMatch(/^HTTP\/1\.1 431/);
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
});

test('a body that is too large is answered while it is sent, and the connection outlasts its sender', async () => {
  await using server = await served({ body_bytes: 1024 });
  const { socket, closed } = raw(server.port);
  const errors: Error[] = [];
  socket.on('error', (error) => errors.push(error));
  const [size, piece] = [4 * 2 ** 20, Buffer.alloc(2 ** 16, 32)];
  socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n');
  socket.write(`content-length: ${size}\r\n\r\n`);
  socket.write(piece);
  await once(socket, 'data'); // the answer
  for (let sent = piece.length; sent < size; sent += piece.length)
    await new Promise((resolve) => socket.write(piece, resolve));
  const answer = await closed;
  expect(answer).toMatch(/^HTTP\/1\.1 413/);
  expect(answer).toContain('body_too_large');
  expect(errors).toEqual([]);
});

test('clients that send 8 MB where 1 KB is read get to see why not', async () => {
  await using server = await served({ body_bytes: 1024 });
  const body = ' '.repeat(8 * 2 ** 20);
  for (let i = 0; i < 5; i++) {
    const response = await server.post('/v1/completions', body);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: 'body_too_large' } });
    const status = await new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const url = `${server.base}/v1/completions`;
      const req = request(url, { method: 'POST', headers }, (res) => {
        res.resume().on('end', () => resolve(res.statusCode));
      });
      req.on('error', reject).end(body);
    });
    expect(status).toBe(413);
  }
});

test('a body that has no end is not read for ever', async () => {
  await using server = await served({ body_bytes: 1024 });
  const { socket, closed } = raw(server.port);
  socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n');
  socket.write('content-length: 1000000000\r\n\r\n');
  const piece = Buffer.alloc(2 ** 20, 32);
  const pour = (): void => {
    if (!socket.destroyed) socket.write(piece, () => setImmediate(pour));
  };
  pour();
  await closed;
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
});

test('one WebSocket more than the bound is refused, until one closes', async () => {
  await using server = await served({ sockets: 2 });
  await using first = await new Client(server.port).open();
  await using _second = await new Client(server.port).open();
  await expect(new Client(server.port).open()).rejects.toThrow('503');
  first.ws.terminate();
  const opens = async (): Promise<boolean> => {
    await using client = new Client(server.port);
    return await client.open().then(
      () => true,
      () => false,
    );
  };
  await expect.poll(opens).toBe(true);
});

test('connections above the bound are closed at once', async () => {
  await using server = await served({ connections: 3 });
  const held = Array.from({ length: 3 }, () => raw(server.port));
  await Promise.all(
    held.map(({ socket }) => new Promise((resolve) => socket.on('connect', resolve))),
  );
  expect(await raw(server.port).closed).toBe('');
  for (const { socket } of held) socket.destroy();
});

/** Where the HTTP process could open a connection of its own. */
const OUTGOING =
  /\bfetch\(|from 'node:(https|http2|dns|tls|dgram)'|\b(http|net)\.(request|get|connect)\(|new WebSocket\(/;

test('a URL in a request is text: nothing on the way from a request to a plan can fetch', async () => {
  await using target = await served();
  const url = `${target.base}/v1/models`;
  await using server = await served();
  const seen: string[] = [];
  target.api.http.on('request', (req) => seen.push(req.url ?? ''));
  const image = { type: 'image_url', image_url: { url } };
  const bodies = [
    ['/v1/chat/completions', { messages: [{ role: 'user', content: [image] }], max_tokens: 2 }],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: url }], max_tokens: 2 }],
    ['/v1/completions', { prompt: url, max_tokens: 2, user: url, metadata: { url } }],
    [
      '/v1/completions',
      { prompt: 'x', model: url, alignment: { guides: [{ model: url, weight: 1 }] } },
    ],
    [
      '/v1/responses',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: url }] }] },
    ],
    ['/v1/score', { model: url, queries: url, documents: url }],
    ['/tokenize', { prompt: url, model: url }],
  ] as const;
  for (const [path, body] of bodies)
    expect((await server.post(path, body)).status).toBeLessThan(500);
  expect(seen).toEqual([]);
  for (const folder of ['api', 'plan']) {
    const at = join(import.meta.dirname, '../../src', folder);
    const files = readdirSync(at, { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.ts')))
      expect(readFileSync(join(at, file), 'utf8'), `${folder}/${file}`).not.toMatch(OUTGOING);
  }
});
