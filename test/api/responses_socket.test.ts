import { expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

const connect = (server: Served) => new Client(server.port, '/v1/responses').open();
const ask = (input: unknown, fields: object = {}) => ({
  type: 'response.create',
  model: 'tales',
  input,
  max_output_tokens: 4,
  ...fields,
});
const on = (stream: string | undefined) => (frame: Json) => frame['stream_id'] === stream;
const ENDS = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error']);
const isEnd = ({ type }: Json): boolean => ENDS.has(type as string);
/** Waits for the nth end of a stream; gives its frames since the end before. */
async function ended(client: Client, stream: string | undefined, nth = 1): Promise<Json[]> {
  const ends = (frames: readonly Json[]) =>
    frames.filter((frame) => on(stream)(frame) && isEnd(frame));
  await client.until((frames) => ends(frames).length >= nth);
  const mine = client.frames.filter(on(stream));
  const marks = mine.flatMap((frame, i) => (isEnd(frame) ? [i] : []));
  return mine.slice((marks[nth - 2] ?? -1) + 1, (marks[nth - 1] ?? 0) + 1);
}
const typesOf = (frames: readonly Json[]) => frames.map(({ type }) => type as string);
const idOf = (frames: readonly Json[]) => frames[0]?.['response'].id as string;
const said = (server: Served, plan: number) => server.inference.plans[plan]?.prompts[0]?.text;

test('events are those of a stream over HTTP', async () => {
  await using server = await served();
  await using client = await connect(server);
  client.send(ask('abc', { seed: 3 }));
  const frames = await ended(client, undefined);
  expect(frames.map(({ sequence_number: n }) => n as number)).toEqual(frames.map((_, i) => i));
  const http = await server.post('/v1/responses', { ...ask('abc', { seed: 3 }), stream: true });
  const types = [...(await http.text()).matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
  expect(typesOf(frames)).toEqual(types);
  expect(frames.at(-1)?.['response'].output[0].content[0].text).toBe('abca');
});

test('lanes run side by side, and one after the other within', async () => {
  await using server = await served();
  await using client = await connect(server);
  client.send(ask('!hang', { stream_id: 'slow' }));
  client.send(ask('after', { stream_id: 'slow' }));
  client.send(ask('quick', { stream_id: 'fast' }));
  client.send(ask('plain'));
  await ended(client, 'fast');
  await ended(client, undefined);
  const slow = client.frames.filter(on('slow'));
  expect(typesOf(slow).filter((type) => type === 'response.created')).toHaveLength(1);
  client.send({ type: 'response.cancel', stream_id: 'slow' });
  const first = await ended(client, 'slow');
  expect(first.at(-1)).toMatchObject({
    type: 'response.incomplete',
    response: { status: 'cancelled', output: [{ status: 'incomplete' }] },
  });
  const second = await ended(client, 'slow', 2);
  expect(second[0]).toMatchObject({ type: 'response.created', sequence_number: 0 });
  expect(second.at(-1)?.['response'].output[0].content[0].text).toBe('afte');
  expect(server.inference.running).toBe(0);
});

test('a response that was only begun is cancelled by its id, from its socket or another', async () => {
  await using server = await served();
  await using client = await connect(server);
  await using other = await connect(server);
  for (const from of [client, other]) {
    const nth = client.frames.filter(isEnd).length + 1;
    client.send(ask('!hang'));
    await client.until((frames) => frames.at(-1)?.['type'] === 'response.output_text.delta');
    const created = client.frames.findLast(({ type }) => type === 'response.created');
    from.send({ type: 'response.cancel', response_id: created?.['response'].id });
    const frames = await ended(client, undefined, nth);
    expect(frames.at(-1)?.['response'].status).toBe('cancelled');
  }
  client.send({ type: 'response.cancel', response_id: 'resp_none' });
  await client.until((frames) => frames.at(-1)?.['type'] === 'error');
  expect(client.frames.at(-1)).toMatchObject({ status: 404, code: 'not_found' });
});

test('a turn goes on from the one before, stored or not, on its own socket only', async () => {
  await using server = await served();
  await using client = await connect(server);
  client.send(ask('one', { store: false }));
  const kept = idOf(await ended(client, undefined));
  client.send(ask('two', { previous_response_id: kept, stream_id: 'fork' }));
  const stored = idOf(await ended(client, 'fork'));
  expect(said(server, 1)).toBe('one\noneo\ntwo');
  await using other = await connect(server);
  other.send(ask('three', { previous_response_id: stored }));
  await ended(other, undefined);
  expect(said(server, 2)).toBe('one\noneo\ntwo\none\n\nthree');
  other.send(ask('three', { previous_response_id: kept, stream_id: 'main' }));
  const [error] = await ended(other, 'main');
  expect(error).toMatchObject({
    type: 'error',
    status: 400,
    stream_id: 'main',
    code: 'previous_response_not_found',
    param: 'previous_response_id',
    error: { type: 'invalid_request_error', code: 'previous_response_not_found' },
  });
  const http = await fetch(`${server.base}/v1/responses/${kept}`);
  expect(http.status).toBe(404);
  client.send(ask('again'));
  await ended(client, undefined, 2);
});

test('a failure is told on its stream', async () => {
  await using server = await served();
  await using client = await connect(server);
  client.send(ask('!fail', { stream_id: 'a' }));
  client.send(ask('!refuse', { stream_id: 'b' }));
  await client.until(
    (frames) => frames.filter(({ type }) => type === 'response.failed').length === 2,
  );
  const [a, b] = ['a', 'b'].map((stream) => client.frames.filter(on(stream)));
  expect(typesOf(a!).slice(-2)).toEqual(['error', 'response.failed']);
  expect(typesOf(b!)).toEqual([
    'response.created',
    'response.in_progress',
    'error',
    'response.failed',
  ]);
  expect(b?.at(-1)?.['response'].error.code).toBe('rate_limit_exceeded');
});

test.each([
  [{ type: 'chat.completion.create', id: 'a' }, 'type', 'invalid_value', undefined],
  [{ ...ask('x'), stream: false }, 'stream', 'invalid_value', undefined],
  [{ ...ask('x'), stream_id: '' }, 'stream_id', 'invalid_stream_id', undefined],
  [{ ...ask('x'), stream_id: 'a b' }, 'stream_id', 'invalid_stream_id', undefined],
  [{ ...ask('x'), stream_id: 'a'.repeat(257) }, 'stream_id', 'invalid_stream_id', undefined],
  [{ ...ask('x'), stream_id: 5 }, 'stream_id', 'invalid_stream_id', undefined],
  [{ ...ask(5), stream_id: 'ok' }, 'input', 'invalid_value', 'ok'],
  [{ type: 'response.cancel', stream_id: 'ok' }, 'stream_id', 'not_found', 'ok'],
  [{ type: 'response.cancel' }, 'stream_id', 'not_found', undefined],
  [[], null, 'invalid_value', undefined],
])('%j is refused at %s', async (frame, param, code, stream) => {
  await using server = await served();
  await using client = await connect(server);
  client.send(frame);
  await client.until((frames) => frames.length > 0);
  expect(client.frames[0]).toMatchObject({ type: 'error', param, code });
  expect(client.frames[0]?.['stream_id']).toBe(stream);
  client.send(ask('x', { stream_id: 'next' }));
  await ended(client, 'next');
});

test('a socket has so many requests, and so many names', async () => {
  await using server = await served({ socket_streams: 2 });
  await using client = await connect(server);
  client.send(ask('!hang', { stream_id: 'a' }));
  client.send(ask('waits', { stream_id: 'a' }));
  client.send(ask('x', { stream_id: 'b' }));
  const [refused] = await ended(client, 'b');
  expect(refused).toMatchObject({ code: 'rate_limit_exceeded', status: 429 });
  client.send({ type: 'response.cancel', stream_id: 'a' });
  await ended(client, 'a', 2);
  for (const stream_id of ['b', 'c', 'd']) {
    client.send(ask('x', { stream_id }));
    await client.until((frames) =>
      frames.filter(on(stream_id)).some(({ type }) => type === 'response.incomplete'),
    );
  }
  client.send(ask('x', { stream_id: 'e' }));
  expect(await ended(client, 'e')).toMatchObject([{ code: 'websocket_stream_limit_reached' }]);
  client.send(ask('x'));
  await ended(client, undefined);
});

test('a connection that has lasted long enough finishes what runs, and closes', async () => {
  await using server = await served({ socket_ms: 100 });
  await using client = await connect(server);
  await using idle = await connect(server);
  client.send(ask('!hang'));
  await idle.until((frames) => frames.length > 0);
  expect(idle.frames).toMatchObject([
    { type: 'error', status: 400, code: 'websocket_connection_limit_reached' },
  ]);
  client.send(ask('more', { stream_id: 'late' }));
  expect(await ended(client, 'late')).toMatchObject([
    { code: 'websocket_connection_limit_reached' },
  ]);
  client.send({ type: 'response.cancel' });
  await client.until(
    (frames) =>
      frames.at(-1)?.['code'] === 'websocket_connection_limit_reached' &&
      frames.at(-1)?.['stream_id'] === undefined,
  );
  await expect.poll(() => client.closed && idle.closed).toBe(true);
  expect(typesOf(client.frames)).toContain('response.incomplete');
});

test('a reader that stops reading pauses its generation, and is closed', async () => {
  await using server = await served({ socket_buffer_bytes: 4096 });
  await using client = await connect(server);
  client.ws.pause();
  for (let i = 0; i < 16; i++)
    client.send(
      ask('x', {
        stream_id: `s${i}`,
        max_output_tokens: 300,
        top_logprobs: 20,
        alignment: { explain: true },
      }),
    );
  await expect.poll(() => server.inference.running).toBe(16);
  await expect.poll(() => server.inference.running, { timeout: 15_000 }).toBe(0);
  expect(server.inference.pulled).toBeLessThan(16 * 300);
});
