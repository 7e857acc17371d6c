import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

/** What a socket reads until the other side closes it. */
async function raw({ port }: Served, bytes: string): Promise<{ status: string; body: Json }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  socket.write(bytes);
  await once(socket, 'close');
  const [head = '', body = ''] = text.split('\r\n\r\n');
  expect(head).toContain('content-type: application/json');
  return { status: head.split(' ')[1] ?? '', body: JSON.parse(body) as Json };
}

test.each([
  ['GARBAGE\r\n\r\n', '400', 'malformed_request'],
  ['GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n', '400', 'malformed_request'],
  [`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`, '431', 'headers_too_large'],
])('%.30j is answered in the shape of every error', async (bytes, status, code) => {
  await using server = await served();
  const answer = await raw(server, bytes);
  expect(answer.status).toBe(status);
  expect(answer.body['error']).toMatchObject({ code, type: 'invalid_request_error', param: null });
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
});

test.each([
  [
    'an upgrade',
    'GET /nowhere HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
  ],
  ['garbage', 'GARBAGE\r\n\r\n'],
])('%s that is refused leaves no connection to a client that does not close', async (_, bytes) => {
  await using server = await served();
  const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  const reset = new Promise((resolve) => socket.on('error', resolve));
  socket.resume().write(bytes);
  await once(socket, 'end');
  const knock = setInterval(() => socket.write('x'), 5); // only a closed connection answers this with a reset
  await reset;
  clearInterval(knock);
});

test('a load balancer is answered, and told how much runs', async () => {
  await using server = await served();
  const ping = await fetch(`${server.base}/ping`);
  expect([ping.status, await ping.text()]).toEqual([200, '']);
  const load = async () => (await fetch(`${server.base}/load`)).json();
  expect(await load()).toEqual({ server_load: 0 });
  const stop = new AbortController();
  const asked = server.post('/v1/completions', { prompt: '!hang' }, { signal: stop.signal });
  await expect.poll(() => server.inference.running).toBe(1);
  expect(await load()).toEqual({ server_load: 1 });
  stop.abort();
  await expect(asked).rejects.toThrow();
});

test('ids of models may hold slashes and colons, spelt out or not', async () => {
  await using server = await served();
  for (const id of ['tales:happy', 'tales%3Ahappy']) {
    const found = await fetch(`${server.base}/v1/models/${id}`);
    expect(((await found.json()) as Json)['id']).toBe('tales:happy');
  }
  for (const id of ['a/b:c', 'a%2Fb%3Ac']) {
    const missing = await fetch(`${server.base}/v1/models/${id}`);
    expect(missing.status).toBe(404);
    expect(((await missing.json()) as Json)['error'].message).toContain('"a/b:c"');
  }
});
