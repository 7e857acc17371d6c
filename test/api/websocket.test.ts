import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';

const ask = (id: string, content: string, fields: object = {}) => ({
  type: 'chat.completion.create',
  id,
  model: 'tales',
  messages: [{ role: 'user', content }],
  max_tokens: 6,
  ...fields,
});

const isOver = (id: string) => (frames: readonly { type?: unknown; id?: unknown }[]) =>
  frames.some((frame) => frame.id === id && (frame.type === 'done' || frame.type === 'error'));

test('requests share a socket, each with its own id', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  client.send(ask('a', 'abc'));
  client.send({ type: 'completion.create', id: 'b', prompt: 'xy', max_tokens: 4 });
  await client.until(isOver('a'));
  await client.until(isOver('b'));
  const chat = client.of('a', 'chat.completion.chunk');
  const text = client.of('b', 'completion.chunk');
  expect(chat.map((frame) => frame.data.choices[0].delta.content ?? '').join('')).toBe('abcabc');
  expect(text.map((frame) => frame.data.choices[0].text).join('')).toBe('xyxy');
  expect(client.of('a', 'done')).toEqual([{ type: 'done', id: 'a' }]);
  const endOfA = client.frames.findIndex(({ id, type }) => id === 'a' && type === 'done');
  expect(client.frames.findIndex(({ id }) => id === 'b')).toBeLessThan(endOfA);
});

test('a cancel ends one request and leaves the others alone', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  client.send(ask('a', '!hang'));
  client.send(ask('b', 'hello', { max_tokens: 100 }));
  await client.until((frames) => frames.filter(({ id }) => id === 'a').length >= 3);
  client.send({ type: 'response.cancel', id: 'a' });
  await client.until(isOver('a'));
  expect(client.of('a', 'done')).toEqual([{ type: 'done', id: 'a', cancelled: true }]);
  await client.until(isOver('b'));
  expect(client.of('b', 'done')).toEqual([{ type: 'done', id: 'b' }]);
  expect(server.inference.running).toBe(0);
  client.send({ type: 'response.cancel', id: 'a' });
  await client.until((frames) => frames.at(-1)?.type === 'error');
  expect(client.frames.at(-1)).toMatchObject({
    id: 'a',
    error: { code: 'not_found', param: 'id' },
  });
});

test('a socket that closes aborts all its requests', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  for (const id of ['a', 'b', 'c']) client.send(ask(id, '!hang'));
  await expect.poll(() => server.inference.running).toBe(3);
  client.ws.terminate();
  await expect.poll(() => server.inference.running).toBe(0);
});

test('an id in use is refused, and its request goes on', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  client.send(ask('a', 'hello', { max_tokens: 50 }));
  client.send(ask('a', 'other'));
  await client.until((frames) => frames.some(({ type }) => type === 'done'));
  expect(client.of('a', 'error')).toMatchObject([
    { error: { code: 'invalid_value', param: 'id' } },
  ]);
  expect(client.of('a', 'chat.completion.chunk').length).toBeGreaterThan(40);
  client.send(ask('a', 'again'));
  await client.until((frames) => frames.filter(({ type }) => type === 'done').length === 2);
});

test('a socket carries 16 requests and no more', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  for (let i = 0; i < 17; i++) client.send(ask(`r${i}`, '!hang'));
  await client.until(isOver('r16'));
  expect(client.of('r16', 'error')).toMatchObject([{ error: { code: 'rate_limit_exceeded' } }]);
  expect(server.inference.running).toBe(16);
});

test.each([
  ['{', 'invalid_json', null],
  ['[]', 'invalid_value', null],
  ['5', 'invalid_value', null],
  ['{}', 'invalid_value', 'type'],
  ['{"type":"nope","id":"a"}', 'invalid_value', 'type'],
  ['{"type":"chat.completion.create"}', 'invalid_value', 'id'],
  ['{"type":"chat.completion.create","id":""}', 'invalid_value', 'id'],
  ['{"type":"chat.completion.create","id":5}', 'invalid_value', 'id'],
  [JSON.stringify({ type: 'response.cancel', id: 'x'.repeat(129) }), 'invalid_value', 'id'],
  ['{"type":"chat.completion.create","id":"a"}', 'invalid_value', 'messages'],
  [JSON.stringify(ask('a', 'x', { stream: false })), 'invalid_value', 'stream'],
  [JSON.stringify(ask('a', 'x', { temperature: 9 })), 'invalid_value', 'temperature'],
  [JSON.stringify(ask('a', 'x', { alignment: 7 })), 'invalid_value', 'alignment'],
  [JSON.stringify(ask('a', '!refuse')), 'queue_full', null],
  [JSON.stringify(ask('a', '!fail')), 'internal_error', null],
])(
  'the frame %s is answered by an error frame, and the socket lives on',
  async (raw, code, param) => {
    await using server = await served();
    await using client = await new Client(server.port).open();
    client.ws.send(raw);
    await client.until((frames) => frames.some(({ type }) => type === 'error'));
    expect(client.frames.at(-1)).toMatchObject({ error: { code, param } });
    expect(client.frames.at(-1)?.error.message).not.toContain('secret');
    client.send(ask('z', 'ok'));
    await client.until(isOver('z'));
    expect(client.of('z', 'done')).toHaveLength(1);
  },
);

test('binary, oversized and broken frames do no harm', async () => {
  await using server = await served({ body_bytes: 2048 });
  await using binary = await new Client(server.port).open();
  binary.ws.send(Buffer.from(JSON.stringify(ask('a', 'x'))));
  await binary.until((frames) => frames.length > 0);
  expect(binary.frames[0]).toMatchObject({ type: 'error', id: null });
  await using large = await new Client(server.port).open();
  large.ws.send(JSON.stringify(ask('a', 'x'.repeat(3000))));
  expect(await once(large.ws, 'close')).toMatchObject([1009, expect.anything()]);
  await using broken = await new Client(server.port).open();
  broken.ws.send(Buffer.from([0xff, 0xfe]), { binary: false });
  expect(await once(broken.ws, 'close')).toMatchObject([1007, expect.anything()]);
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
});

test('a reader that stops reading pauses its generation, and is closed', async () => {
  await using server = await served({ socket_buffer_bytes: 4096 });
  await using client = await new Client(server.port).open();
  client.ws.pause();
  for (let i = 0; i < 8; i++)
    client.send(ask(`r${i}`, 'x', { max_tokens: 300, n: 8, logprobs: true, top_logprobs: 20 }));
  await expect.poll(() => server.inference.running).toBe(8);
  await expect.poll(() => server.inference.running, { timeout: 10_000 }).toBe(0);
  expect(server.inference.pulled).toBeLessThan(8 * 8 * 300);
  const page = await (await fetch(`${server.base}/metrics`)).text();
  expect(page).toMatch(/coxswain_ws_slow_closed_total [1-9]/);
  expect(page).toContain('coxswain_ws_connections 0');
});

test('a peer that does not answer pings is closed', async () => {
  await using server = await served({ socket_ping_ms: 30 });
  await using client = await new Client(server.port).open();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(client.closed).toBe(false);
  await using dead = new Client(server.port);
  dead.ws.pong = () => undefined;
  dead.ws.on('open', () => ((dead.ws as unknown as { _autoPong: boolean })._autoPong = false));
  await expect.poll(() => dead.closed, { timeout: 3000 }).toBe(true);
});

test('other paths, and more sockets than allowed, are refused before the upgrade', async () => {
  await using server = await served({ sockets: 1 });
  const refused = async (path: string): Promise<unknown> => {
    const ws = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
    const [error] = (await once(ws, 'error')) as [Error];
    return error.message;
  };
  expect(await refused('/v1/models')).toContain('404');
  await using _one = await new Client(server.port, '/v1/completions?x=1').open();
  expect(await refused('/v1/completions')).toContain('503');
  const busy = new WebSocket(`ws://127.0.0.1:${server.port}/v1/completions`);
  busy.on('error', () => undefined);
  const [, response] = (await once(busy, 'unexpected-response')) as [unknown, IncomingMessage];
  expect(response.headers).toMatchObject({ 'retry-after': '1', connection: 'close' });
  busy.terminate();
});
