import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';
import { figures } from '../support/watch.ts';

const RESPONSES = { entries: 100, bytes: 2 ** 20, socket_entries: 2, socket_bytes: 2 ** 20 };

const create = async (server: Served, body: object): Promise<Json> => {
  const response = await server.post('/v1/responses', body);
  const json = (await response.json()) as Json;
  expect(response.status, JSON.stringify(json)).toBe(200);
  return json;
};
/** The response that a stream ends with. */
const lastOf = (all: readonly Json[]): Json => {
  const { response } = all.at(-1) ?? {};
  return response as Json;
};
const textOf = (response: Json): string => response['output'][0].content[0].text as string;
const get = (server: Served, path: string, method = 'GET') =>
  fetch(`${server.base}/v1/responses/${path}`, { method });

/** The events of a stream; each is named in its `event` line as in its data. */
async function events(response: Response): Promise<Json[]> {
  const text = await response.text();
  expect(text.endsWith('\n\n')).toBe(true);
  return text
    .slice(0, -2)
    .split('\n\n')
    .map((block) => {
      const [, name, data] = /^event: (\S+)\ndata: (.*)$/.exec(block) ?? [];
      const event = JSON.parse(data ?? '') as Json;
      expect(event['type']).toBe(name);
      return event;
    });
}
const stream = async (server: Served, body: object) =>
  events(await server.post('/v1/responses', { ...body, stream: true }));

test('a string is answered with one message, whole', async () => {
  await using server = await served();
  const response = await create(server, {
    model: 'tales',
    input: 'abc',
    instructions: 'Be brief.',
    max_output_tokens: 6,
    metadata: { topic: 'kites' },
    temperature: 0.5,
    seed: 7,
    reasoning: { effort: 'low' },
    service_tier: 'auto',
  });
  expect(response).toMatchObject({
    object: 'response',
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    error: null,
    model: 'tales',
    instructions: 'Be brief.',
    max_output_tokens: 6,
    metadata: { topic: 'kites' },
    temperature: 0.5,
    top_p: 1,
    previous_response_id: null,
    store: true,
    text: { format: { type: 'text' } },
    tools: [],
    truncation: 'disabled',
    output: [
      {
        type: 'message',
        role: 'assistant',
        status: 'incomplete',
        content: [{ type: 'output_text', text: 'Be bri', annotations: [], logprobs: [] }],
      },
    ],
    usage: {
      input_tokens: 16,
      input_tokens_details: { cached_tokens: 2 },
      output_tokens: 6,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 22,
      alignment: { generated_tokens: 6 },
    },
    alignment: { strategy: 'sample', seed: 7 },
  });
  expect(response['id']).toMatch(/^resp_/);
  expect(response['output'][0].id).toMatch(/^msg_/);
});

test('items of every form reach the model as messages', async () => {
  await using server = await served();
  await create(server, {
    max_output_tokens: 1,
    input: [
      { role: 'developer', content: 'one' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'two' }] },
      { type: 'reasoning', id: 'rs_1', summary: [] },
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: 'completed',
        content: [
          { type: 'output_text', text: 'three', annotations: [] },
          { type: 'refusal', refusal: '!' },
        ],
      },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{"x":1}' },
      { type: 'function_call_output', call_id: 'c', output: 'four' },
    ],
  });
  const said = server.inference.plans[0]?.prompts[0]?.text;
  // as the model would have written the call, and been told its result
  const call = '<tool_call>\n{"name": "f", "arguments": {"x":1}}\n</tool_call>';
  expect(said).toBe(`one\ntwo\nthree!\n${call}\n<tool_response>\nfour\n</tool_response>`);
});

test.each([
  [{}, 'input', 'invalid_value'],
  [{ input: [] }, 'input', 'invalid_value'],
  [{ input: 5 }, 'input', 'invalid_value'],
  [{ input: ['x'] }, 'input[0]', 'invalid_value'],
  [{ input: [{ type: 'constructor' }] }, 'input[0].type', 'invalid_value'],
  [{ input: [{ role: 'robot', content: 'x' }] }, 'input[0].role', 'invalid_value'],
  [{ input: [{ role: 'user' }] }, 'input[0].content', 'invalid_value'],
  [
    { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'http://x' }] }] },
    'input[0].content[0]',
    'invalid_value',
  ],
  [{ input: [{ type: 'function_call', name: 'f' }] }, 'input[0].arguments', 'invalid_value'],
  [{ input: [{ type: 'item_reference', id: 'msg_x' }] }, 'input[0].id', 'invalid_value'],
  [{ input: '\ud800' }, 'input', 'invalid_value'],
  [{ input: 'x', instructions: '\ud800' }, 'instructions', 'invalid_value'],
  [{ input: 'x'.repeat(500) }, 'input', 'context_length_exceeded'],
  [{ input: 'x', max_output_tokens: 0 }, 'max_output_tokens', 'invalid_value'],
  [{ input: 'x', max_output_tokens: 999 }, 'max_output_tokens', 'context_length_exceeded'],
  [{ input: 'x', max_tokens: 5 }, 'max_tokens', 'invalid_value'],
  [{ input: 'x', n: 2 }, 'n', 'invalid_value'],
  [{ messages: [{ role: 'user', content: 'x' }] }, 'messages', 'invalid_value'],
  [{ input: 'x', background: true }, 'background', 'invalid_value'],
  [{ input: 'x', conversation: 'conv_1' }, 'conversation', 'invalid_value'],
  [{ input: 'x', truncation: 'middle' }, 'truncation', 'invalid_value'],
  [{ input: 'x', metadata: { a: 1 } }, 'metadata.a', 'invalid_value'],
  [{ input: 'x', temperature: 3 }, 'temperature', 'invalid_value'],
  [{ input: 'x', text: { format: { type: 'xml' } } }, 'text.format.type', 'invalid_value'],
  [
    { input: 'x', text: { format: { type: 'json_schema', name: 'a', schema: { type: 'x' } } } },
    'text.format.schema.type',
    'invalid_value',
  ],
  [{ input: 'x', alignment: { wat: 1 } }, 'alignment.wat', 'unknown_parameter'],
  [{ input: 'x', model: 'gpt-9' }, 'model', 'model_not_found'],
  [
    { input: 'x', previous_response_id: 'resp_none' },
    'previous_response_id',
    'previous_response_not_found',
  ],
])('%j is refused at %s', async (body, param, code) => {
  await using server = await served();
  const response = await server.post('/v1/responses', body);
  const { error } = (await response.json()) as Json;
  expect(error).toMatchObject({ param, code, type: 'invalid_request_error' });
  expect(response.status).toBe(code === 'model_not_found' ? 404 : 400);
  expect(server.inference.plans).toEqual([]);
});

test('a text format is a rule of the plan, and is repeated', async () => {
  await using server = await served();
  const format = {
    type: 'json_schema',
    name: 'mood',
    strict: true,
    schema: { type: 'object', properties: { happy: { type: 'boolean' } }, required: ['happy'] },
  };
  const response = await create(server, { input: 'x', text: { format }, max_output_tokens: 40 });
  expect(response['text']).toEqual({ format });
  expect(server.inference.plans[0]?.opening.rule).not.toBeNull();
});

test('metadata has OpenAI’s bounds', async () => {
  await using server = await served();
  const metadata = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v']));
  const response = await server.post('/v1/responses', { input: 'x', metadata });
  expect(((await response.json()) as Json)['error'].param).toBe('metadata');
});

test('a stream has OpenAI’s events, numbered, and ends as the whole answer reads', async () => {
  await using server = await served();
  const ask = { input: 'añb', max_output_tokens: 4, seed: 1 };
  const whole = await create(server, ask);
  const all = await stream(server, ask);
  expect(all.map(({ sequence_number }) => sequence_number as number)).toEqual(all.map((_, i) => i));
  const types = all.map(({ type }) => type as string);
  const deltas = types.filter((type) => type === 'response.output_text.delta');
  expect(types).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    ...deltas,
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.incomplete',
  ]);
  expect(deltas).toHaveLength(3);
  expect(all[0]?.['response']).toMatchObject({ status: 'in_progress', output: [], usage: null });
  const text = all.map(({ delta }) => (delta as string | undefined) ?? '').join('');
  expect(text).toBe('añb');
  expect(textOf(whole)).toBe(text);
  const { id, created_at: _, output, ...last } = lastOf(all);
  expect(last).toMatchObject({ usage: whole['usage'], alignment: whole['alignment'] });
  expect(output[0].content).toEqual(whole['output'][0].content);
  expect(all[0]?.['response'].id).toBe(id);
  for (const { item_id, item } of all)
    if (item_id ?? item) expect(item_id ?? item.id).toBe(output[0].id);
});

test('an answer that ends by itself is completed', async () => {
  await using server = await served();
  const all = await stream(server, { input: 'hi!end' });
  const last = all.at(-1);
  expect(last).toMatchObject({ type: 'response.completed', response: { status: 'completed' } });
  expect(last?.['response'].incomplete_details).toBeNull();
});

test('log-probs come where they are included, and explanations where they are asked for', async () => {
  await using server = await served();
  const ask = {
    input: 'abc',
    max_output_tokens: 3,
    top_logprobs: 1,
    include: ['message.output_text.logprobs'],
    alignment: { guides: [{ model: 'arm-happy' }], explain: true },
  };
  const part = (await create(server, ask))['output'][0].content[0] as Json;
  expect(part['logprobs']).toHaveLength(3);
  expect(part['logprobs'][0]).toMatchObject({ token: 'a', logprob: -0.5, bytes: [97] });
  expect(part['alignment'].tokens[0]).toMatchObject({ token: 'a', guides: [-1] });
  const all = await stream(server, ask);
  const deltas = all.filter(({ type }) => type === 'response.output_text.delta');
  expect(deltas.flatMap(({ logprobs }) => logprobs as object[])).toEqual(part['logprobs']);
  expect(deltas.flatMap(({ alignment }) => alignment.tokens as object[])).toEqual(
    part['alignment'].tokens,
  );
  expect(all.find(({ type }) => type === 'response.output_text.done')?.['logprobs']).toEqual(
    part['logprobs'],
  );
});

test('a response is created as soon as it is accepted, however long its text takes', async () => {
  await using server = await served();
  const leave = new AbortController();
  const body = { input: '!wait', stream: true };
  const response = await server.post('/v1/responses', body, { signal: leave.signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let told = '';
  while (!told.includes('response.in_progress')) told += (await reader.read()).value ?? '';
  expect(told).toMatch(/^event: response.created\n/);
  expect(server.inference.running).toBe(1);
  leave.abort();
  await expect.poll(() => server.inference.running).toBe(0);
});

test('a failure before the first event has a status; one after it is told in the stream', async () => {
  await using server = await served();
  const early = await server.post('/v1/responses', { input: '!refuse', stream: true });
  expect(early.status).toBe(429);
  expect(early.headers.get('retry-after')).toBe('1');
  const all = await stream(server, { input: '!fail', max_output_tokens: 9 });
  const [error, failed] = all.slice(-2);
  expect(error).toMatchObject({ type: 'error', code: 'internal_error', param: null });
  expect(error?.['error']).toMatchObject({ type: 'server_error', code: 'internal_error' });
  expect(error?.['message']).not.toContain('secret');
  expect(failed).toMatchObject({
    type: 'response.failed',
    response: { status: 'failed', error: { code: 'server_error' } },
  });
});

test('a response is gone on from, its instructions left behind', async () => {
  await using server = await served();
  const first = await create(server, {
    input: 'one',
    instructions: 'Old rules.',
    max_output_tokens: 2,
  });
  const second = await create(server, {
    input: [{ role: 'user', content: 'two' }],
    previous_response_id: first['id'],
    instructions: 'New rules.',
    max_output_tokens: 2,
  });
  expect(second['previous_response_id']).toBe(first['id']);
  expect(server.inference.plans[1]?.prompts[0]?.text).toBe('New rules.\none\nOl\ntwo');
  await create(server, { input: 'three', previous_response_id: second['id'] });
  expect(server.inference.plans[2]?.prompts[0]?.text).toBe('one\nOl\ntwo\nNe\nthree');
});

test('streamed responses are kept too, and answers may be referred to as items', async () => {
  await using server = await served();
  const all = await stream(server, { input: 'abc', max_output_tokens: 3 });
  const { id, output } = lastOf(all);
  expect(await (await get(server, id as string)).json()).toEqual(lastOf(all));
  await create(server, {
    input: [
      { role: 'user', content: 'abc' },
      { type: 'item_reference', id: output[0].id },
      { role: 'user', content: 'go on' },
    ],
  });
  expect(server.inference.plans[1]?.prompts[0]?.text).toBe('abc\nabc\ngo on');
});

test('what is not to be stored is not', async () => {
  await using server = await served();
  const { id, store } = await create(server, { input: 'x', store: false, max_output_tokens: 1 });
  expect(store).toBe(false);
  expect((await get(server, id as string)).status).toBe(404);
  const next = await server.post('/v1/responses', { input: 'y', previous_response_id: id });
  expect(next.status).toBe(400);
});

test('responses can be read, listed item by item, and deleted', async () => {
  await using server = await served();
  const response = await create(server, {
    input: [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'three' },
    ],
    max_output_tokens: 1,
  });
  const id = response['id'] as string;
  expect(await (await get(server, id)).json()).toEqual(response);
  const page = (await (await get(server, `${id}/input_items?limit=2`)).json()) as Json;
  expect(page).toMatchObject({ object: 'list', has_more: true });
  expect(page['data'].map((item: Json) => item['content'][0].text as string)).toEqual([
    'three',
    'two',
  ]);
  const rest = await get(server, `${id}/input_items?limit=2&after=${String(page['last_id'])}`);
  expect(await rest.json()).toMatchObject({
    data: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'one' }] }],
    has_more: false,
  });
  expect((await get(server, `${id}/input_items?limit=0`)).status).toBe(400);
  expect((await get(server, `${id}/input_items?after=x`)).status).toBe(400);
  expect((await get(server, `${id}?stream=true`)).status).toBe(400);
  expect(await (await get(server, id, 'DELETE')).json()).toEqual({
    id,
    object: 'response',
    deleted: true,
  });
  expect((await get(server, id, 'DELETE')).status).toBe(404);
  const gone = await get(server, id);
  expect(gone.status).toBe(404);
  expect(await gone.json()).toMatchObject({ error: { code: 'not_found', param: 'response_id' } });
  const put = await get(server, id, 'PUT');
  expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, DELETE']);
});

test('the oldest responses make room, by number and by size', async () => {
  await using server = await served({ responses: { ...RESPONSES, entries: 2 } });
  const ids: string[] = [];
  for (const input of ['a', 'b', 'c'])
    ids.push((await create(server, { input, max_output_tokens: 1 }))['id'] as string);
  const found = await Promise.all(ids.map(async (id) => (await get(server, id)).status));
  expect(found).toEqual([404, 200, 200]);
  await using small = await served({ responses: { ...RESPONSES, bytes: 100 } });
  const { id } = await create(small, { input: 'a', max_output_tokens: 1 });
  expect((await get(small, id as string)).status).toBe(404);
});

test('the page of metrics tells what kept responses and compiled rules hold', async () => {
  await using server = await served();
  const held = async () => {
    const figure = await figures(server.base);
    return [figure('response_store_bytes'), figure('compiled_rule_bytes')] as const;
  };
  expect(await held()).toEqual([0, 0]);
  const format = { type: 'json_object' };
  const { id } = await create(server, { input: 'x', text: { format }, max_output_tokens: 40 });
  const [responses, rules] = await held();
  expect(responses).toBeGreaterThan(200);
  expect(rules).toBeGreaterThan(1000);
  await get(server, id as string, 'DELETE');
  expect(await held()).toEqual([0, rules]);
});

test('a stream is cancelled by its id from another connection, and keeps what it said', async () => {
  await using server = await served();
  const response = await server.post('/v1/responses', { input: '!hang', stream: true });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = '';
  while (!seen.includes('output_text.delta')) seen += (await reader.read()).value ?? '';
  const id = /"id":"(resp_\w+)"/.exec(seen)?.[1] ?? '';
  expect((await get(server, id)).status).toBe(404);
  const cancelled = (await (await get(server, `${id}/cancel`, 'POST')).json()) as Json;
  expect(cancelled).toMatchObject({ id, status: 'cancelled', output: [{ status: 'incomplete' }] });
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    seen += value;
  }
  expect(seen).toContain('event: response.incomplete\n');
  expect(seen).toContain('"status":"cancelled"');
  expect(server.inference.running).toBe(0);
  expect(await (await get(server, id)).json()).toEqual(cancelled);
  const again = await get(server, `${id}/cancel`, 'POST');
  expect([again.status, ((await again.json()) as Json)['error'].param]).toEqual([
    400,
    'response_id',
  ]);
  expect((await get(server, 'resp_none/cancel', 'POST')).status).toBe(404);
});

test('truncation drops the oldest messages, and only where it is asked for', async () => {
  await using server = await served();
  const turn = (text: string) => ({ role: 'user', content: text.repeat(100) });
  const input = ['a', 'b', 'c', 'd'].map(turn);
  const refused = await server.post('/v1/responses', { input });
  expect(((await refused.json()) as Json)['error'].code).toBe('context_length_exceeded');
  await create(server, { input, truncation: 'auto', instructions: 'Rules.' });
  const lines = server.inference.plans[0]?.prompts[0]?.text.split('\n') ?? [];
  expect(lines.map((line) => line[0])).toEqual(['R', 'c', 'd']);
  await create(server, { input, truncation: 'auto', max_output_tokens: 80 });
  const more = server.inference.plans[1]?.prompts[0]?.text.split('\n') ?? [];
  expect(more.map((line) => line[0])).toEqual(['c', 'd']);
  const hopeless = await server.post('/v1/responses', {
    input: 'x'.repeat(380),
    truncation: 'auto',
    max_output_tokens: 50,
  });
  expect(hopeless.status).toBe(400);
});
