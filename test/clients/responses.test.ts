/** The official SDK's Responses client, over HTTP and WebSocket, against the real server with the default pack. */

import OpenAI, { APIError } from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Served } from '../support/server.ts';

let server: Served;
let client: OpenAI;

beforeAll(async () => {
  server = await serve();
  client = new OpenAI({ baseURL: `${server.base}/v1`, apiKey: 'none', maxRetries: 0 });
}, 240_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const story = {
  model: 'tales',
  input: 'Tell me a story about a girl named Emma.',
  max_output_tokens: 30,
};
const seeded = (seed: number, fields: object = {}) => ({ ...story, seed, ...fields });

test('answers whole and in events, with the same text for the same seed', async () => {
  const whole = await client.responses.create(seeded(5));
  expect(whole.output_text.length).toBeGreaterThan(10);
  expect(whole.usage?.output_tokens).toBe(30);
  const types = new Set<string>();
  let text = '';
  for await (const event of await client.responses.create({ ...seeded(5), stream: true })) {
    types.add(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  expect(text).toBe(whole.output_text);
  expect([...types].at(-1)).toBe('response.incomplete');
});

test('the streaming helper assembles the response', async () => {
  let deltas = '';
  const stream = client.responses.stream(seeded(6));
  stream.on('response.output_text.delta', ({ delta }) => (deltas += delta));
  const final = await stream.finalResponse();
  expect(final.output_text).toBe(deltas);
  expect(final.status).toBe('incomplete');
});

test('takes guides, and JSON that parses', async () => {
  const plain = await client.responses.create(seeded(3));
  const alignment = { guides: [{ model: 'arm-happy', weight: 1 }] };
  const happy = await client.responses.create(seeded(3, { alignment }));
  expect(happy.output_text).not.toBe(plain.output_text);
  const schema = {
    type: 'object',
    properties: { happy: { type: 'boolean' } },
    required: ['happy'],
    additionalProperties: false,
  };
  const parsed = await client.responses.parse({
    ...story,
    text: { format: { type: 'json_schema', name: 'mood', strict: true, schema } },
  });
  expect(typeof (parsed.output_parsed as { happy: unknown } | null)?.happy).toBe('boolean');
});

test('goes on from a response, reads it again, lists what was said, and forgets it', async () => {
  const first = await client.responses.create(seeded(1));
  const next = await client.responses.create(
    seeded(2, { input: 'And then?', previous_response_id: first.id }),
  );
  expect(next.previous_response_id).toBe(first.id);
  expect(next.usage!.input_tokens).toBeGreaterThan(first.usage!.input_tokens + 30);
  expect((await client.responses.retrieve(first.id)).output_text).toBe(first.output_text);
  const said: string[] = [];
  for await (const item of client.responses.inputItems.list(first.id)) said.push(item.type);
  expect(said).toEqual(['message']);
  await expect(client.responses.cancel(first.id)).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  await client.responses.delete(first.id);
  await expect(client.responses.retrieve(first.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  await expect(
    client.responses.create(seeded(2, { previous_response_id: first.id })),
  ).rejects.toMatchObject({ code: 'previous_response_not_found', param: 'previous_response_id' });
});

test('a stream is cancelled by its id', async () => {
  const stream = await client.responses.create({
    ...story,
    max_output_tokens: 300,
    logit_bias: { 0: -100 },
    stream: true,
  } as typeof story & { stream: true });
  let status: unknown = null;
  let cancelled: Promise<{ status?: unknown }> | null = null;
  for await (const event of stream) {
    if (event.type === 'response.created') cancelled = client.responses.cancel(event.response.id);
    if (event.type === 'response.incomplete') ({ status } = event.response);
  }
  expect(status).toBe('cancelled');
  expect((await cancelled)?.status).toBe('cancelled');
});

test('errors arrive as the SDK’s own classes', async () => {
  const wrong = client.responses.create({ ...story, temperature: 3 });
  await expect(wrong).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  await expect(wrong).rejects.toMatchObject({ status: 400, param: 'temperature' });
  await expect(wrong).rejects.toBeInstanceOf(APIError);
});

test('ResponsesWS runs turns on one socket, and forks', async () => {
  const ws = new ResponsesWS(client);
  const create = (stream_id: string | null, fields: object) =>
    ws.send({
      type: 'response.create',
      ...story,
      store: false,
      ...(stream_id === null ? {} : { stream_id }),
      ...fields,
    });
  const ends: { response: { id: string }; stream_id?: string }[] = [];
  const ended = async (count: number) => {
    for await (const event of ws.stream()) {
      if (event.type === 'error') throw event.error;
      if (event.type === 'message' && event.message.type === 'response.incomplete')
        ends.push(event.message);
      if (ends.length === count) return;
    }
  };
  const first = ended(1);
  create(null, { seed: 4 });
  await first;
  const { id } = ends[0]!.response;
  const both = ended(3);
  create('a', { seed: 5, input: 'And then?', previous_response_id: id });
  create('b', { seed: 6, input: 'But why?', previous_response_id: id });
  await both;
  expect(ends.map(({ stream_id }) => stream_id ?? '').toSorted()).toEqual(['', 'a', 'b']);
  const failed = new Promise((resolve) => ws.on('error', resolve));
  create('c', { previous_response_id: 'resp_none' });
  expect(await failed).toMatchObject({ error: { code: 'previous_response_not_found' } });
  ws.close();
});
