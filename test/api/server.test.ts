import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

const ok = { model: 'tales', prompt: 'One day', max_tokens: 5 };
const JSON_TYPE = { 'content-type': 'application/json' };

const jsonOf = async (response: Response): Promise<Json> => (await response.json()) as Json;

/** Every refusal has OpenAI's shape, and the server answers the next request. */
async function refused(server: Served, response: Response): Promise<Json> {
  const body = await jsonOf(response);
  expect(body).toEqual({
    error: {
      message: expect.any(String) as string,
      type: expect.any(String) as string,
      param: body.error.param as unknown,
      code: expect.any(String) as string,
    },
  });
  expect(response.headers.get('x-request-id')).not.toBeNull();
  expect((await server.post('/v1/completions', ok)).status).toBe(200);
  return body.error as Json;
}

const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;

test.each([
  ['', 400, 'invalid_json'],
  ['{', 400, 'invalid_json'],
  ['NaN', 400, 'invalid_json'],
  ['{"prompt":"x","temperature":NaN}', 400, 'invalid_json'],
  ['[]', 400, 'invalid_value'],
  ['"x"', 400, 'invalid_value'],
  ['null', 400, 'invalid_value'],
  ['{"model":"tales","prompt":"x","temperature":1e999}', 400, 'invalid_value'],
  ['{"__proto__":{"prompt":"x"},"model":"tales"}', 400, 'invalid_value'],
  ['{"prompt":"\\ud800"}', 400, 'invalid_value'],
  [deep, 400, 'invalid_value'],
  [`{"prompt":${deep}}`, 400, 'invalid_value'],
  [`{"prompt":"x","alignment":${deep}}`, 400, 'invalid_value'],
  [`{"prompt":"x","logit_bias":{"5":${deep}}}`, 400, 'invalid_value'],
  [`{"prompt":[${'1,'.repeat(300_000)}1]}`, 400, 'context_length_exceeded'],
  [`{"prompt":"x","stop":[${'1,'.repeat(300_000)}1]}`, 400, 'invalid_value'],
  [`{"prompt":"x","alignment":{"guides":[${'{},'.repeat(200_000)}{}]}}`, 400, 'invalid_value'],
  [`{"prompt":"${'x'.repeat(2 ** 20)}"}`, 413, 'body_too_large'],
])('the body %.60s is answered with %i %s', async (raw, status, code) => {
  await using server = await served();
  const response = await server.post('/v1/completions', raw);
  expect(response.status).toBe(status);
  expect((await refused(server, response)).code).toBe(code);
});

test('the last of duplicate keys counts', async () => {
  await using server = await served();
  const raw = '{"prompt":"x","max_tokens":3,"max_tokens":4}';
  const { choices } = await jsonOf(await server.post('/v1/completions', raw));
  expect(choices[0].text).toBe('xxxx');
});

describe('a body', () => {
  const sent = (server: Served, body: Buffer, headers: Record<string, string>) =>
    server.post('/v1/completions', '', { body: new Uint8Array(body), headers });

  test('must say that it is JSON', async () => {
    await using server = await served();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
      const response = await sent(server, Buffer.from('{}'), { 'content-type': type });
      expect(response.status).toBe(415);
      expect((await refused(server, response)).message).toContain('application/json');
    }
    const json = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await sent(server, Buffer.from(JSON.stringify(ok)), json)).status).toBe(200);
  });

  test('must be UTF-8, and may begin with a mark', async () => {
    await using server = await served();
    const overlong = Buffer.concat([
      Buffer.from('{"prompt":"'),
      Buffer.from([0xc0, 0xaf, 34, 125]),
    ]);
    const error = await refused(server, await sent(server, overlong, JSON_TYPE));
    expect(error).toMatchObject({ code: 'invalid_json', param: null });
    const marked = Buffer.from(`\ufeff${JSON.stringify(ok)}`);
    expect((await sent(server, marked, JSON_TYPE)).status).toBe(200);
  });

  test('must not be compressed', async () => {
    await using server = await served();
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    const response = await sent(server, gzipSync(JSON.stringify(ok)), headers);
    expect(response.status).toBe(415);
    expect((await refused(server, response)).message).toContain('content-encoding');
  });

  test('that never ends is cut off', async () => {
    await using server = await served();
    const status = await new Promise((resolve, reject) => {
      const req = request(
        { port: server.port, path: '/v1/completions', method: 'POST', headers: JSON_TYPE },
        (res) => resolve(res.statusCode),
      );
      req.on('error', reject);
      const piece = Buffer.alloc(2 ** 16, 32);
      const more = (): void => {
        if (!req.destroyed && !req.writableEnded) req.write(piece, () => setImmediate(more));
      };
      more();
      req.on('response', () => req.destroy());
    });
    expect(status).toBe(413);
    expect((await server.post('/v1/completions', ok)).status).toBe(200);
  });
});

test('unknown paths and wrong methods have OpenAI’s shape', async () => {
  await using server = await served();
  const missing = await fetch(`${server.base}/v1/nope`);
  expect([missing.status, (await refused(server, missing)).code]).toEqual([404, 'not_found']);
  const wrong = await fetch(`${server.base}/v1/completions`);
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  expect((await refused(server, wrong)).code).toBe('method_not_allowed');
  const other = await server.post('/v1/models', {});
  expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  const odd = await fetch(`${server.base}/v1/models/%E0%A4%A`);
  expect([odd.status, (await refused(server, odd)).code]).toEqual([400, 'invalid_value']);
});

test('a request may be named by its client, if the name is harmless', async () => {
  await using server = await served();
  const named = async (id: string) =>
    (await fetch(`${server.base}/health`, { headers: { 'x-request-id': id } })).headers.get(
      'x-request-id',
    );
  expect(await named('my-id.7')).toBe('my-id.7');
  expect(await named('a b{"x"}')).toMatch(/^req_/);
});

test('headers above 16 KB are refused', async () => {
  await using server = await served();
  const response = await fetch(`${server.base}/health`, { headers: { x: 'y'.repeat(17_000) } });
  expect(response.status).toBe(431);
});

test('models lists what answers: the policies, with what may guide them, and the presets', async () => {
  await using server = await served();
  const { object, data } = await jsonOf(await fetch(`${server.base}/v1/models`));
  expect(object).toBe('list');
  expect(data).toMatchObject([
    {
      id: 'tales',
      object: 'model',
      owned_by: 'coxswain',
      alignment: {
        guides: ['arm-happy', 'arm-kind', 'arm-short'],
        rewards: ['rm-happy-a', 'rm-late', 'rm-yours'],
        steering: ['calm', 'bright'],
      },
    },
    { id: 'sums', max_model_len: 128, alignment: { guides: ['sums-tuned'] } },
    { id: 'sums-tuned', alignment: { guides: ['sums'] } },
    { id: 'tales:happy', parent: 'tales', alignment: { max_kl: 2, max_cost: 256 } },
    { id: 'sums:n', parent: 'sums', max_model_len: 128 },
  ]);
  const preset = await jsonOf(await fetch(`${server.base}/v1/models/tales:happy`));
  expect(preset).toEqual(data[3]);
  const guide = await jsonOf(await fetch(`${server.base}/v1/models/arm-short`));
  expect(guide).toMatchObject({ max_model_len: 32, alignment: { role: 'guide' } });
  const missing = await fetch(`${server.base}/v1/models/org/nope`);
  expect(missing.status).toBe(404);
  expect((await refused(server, missing)).message).toContain('org/nope');
});

test('tokenize and detokenize undo each other', async () => {
  await using server = await served();
  const { tokens, count } = await jsonOf(await server.post('/tokenize', { prompt: 'é' }));
  expect([tokens, count]).toEqual([[0, 203, 177], 3]);
  const plain = { model: 'arm-happy', prompt: 'a', add_special_tokens: false };
  expect(await jsonOf(await server.post('/tokenize', plain))).toMatchObject({ tokens: [105] });
  const chat = { messages: [{ role: 'user', content: 'a' }], return_token_strs: true };
  expect(await jsonOf(await server.post('/tokenize', chat))).toMatchObject({
    tokens: [0, 2, 105, 3],
    token_strs: ['<|0|>', '<|2|>', 'a', '<|3|>'],
  });
  const text = await jsonOf(await server.post('/detokenize', { tokens: [203, 177] }));
  expect(text).toEqual({ prompt: 'é' });
  for (const body of [{}, { tokens: [-1] }, { tokens: 'x' }, { tokens: [264] }])
    expect((await server.post('/detokenize', body)).status).toBe(400);
  for (const body of [{}, { prompt: 5 }, { prompt: 'x', model: 'nope' }, { prompt: '\ud800' }])
    expect((await server.post('/tokenize', body)).status).toBeGreaterThanOrEqual(400);
});

test('probes tell whether it lives, whether it serves, and its version', async () => {
  await using server = await served();
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
  expect((await fetch(`${server.base}/ready`)).status).toBe(200);
  server.inference.state = 'restarting';
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
  const ready = await fetch(`${server.base}/ready`);
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'restarting' }]);
  expect(await jsonOf(await fetch(`${server.base}/version`))).toEqual({ version: '9.9.9' });
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

test('the metrics page is what Prometheus expects', async () => {
  await using server = await served();
  const guides = [{ model: 'arm-happy', weight: 1 }];
  await server.post('/v1/completions', { ...ok, alignment: { guides } });
  await (await server.post('/v1/completions', { ...ok, stream: true })).text();
  await server.post('/v1/completions', { ...ok, temperature: 9 });
  const page = await (await fetch(`${server.base}/metrics`)).text();
  for (const line of [
    'coxswain_requests_total{endpoint="/v1/completions",model="tales",strategy="sample",code="ok"} 2',
    'coxswain_requests_total{endpoint="/v1/completions",model="none",strategy="none",code="invalid_value"} 1',
    'coxswain_requests_running 0',
    'coxswain_requests_waiting 3',
    'coxswain_kv_cache_usage_ratio 0.25',
    'coxswain_time_to_first_token_seconds_count 2',
    'coxswain_inter_token_latency_seconds_count 5',
    'coxswain_generation_tokens_total 10',
    'coxswain_guide_tokens_total 5',
    'coxswain_guided_requests_total{guides="1"} 1',
    'coxswain_kl_nats_per_token_count 1',
    'coxswain_kl_nats_per_token_sum 0.1',
    'coxswain_iterations_total 10',
    'coxswain_model_forwards_total{model="arm-happy"} 5',
    'coxswain_prefix_cache_hits_total 1',
    'coxswain_ws_connections 0',
    'coxswain_request_gateway_time_seconds_count{phase="plan"} 2',
    'coxswain_request_gateway_time_seconds_count{phase="write"} 2',
  ])
    expect(page.split('\n')).toContain(line);
  const seconds = (name: string): number =>
    Number(
      page
        .split('\n')
        .find((line) => line.startsWith(`coxswain_${name} `))
        ?.split(' ')[1],
    );
  for (const phase of ['plan', 'write'])
    expect(seconds(`request_gateway_time_seconds_sum{phase="${phase}"}`)).toBeGreaterThan(0);
  const again = await (await fetch(`${server.base}/metrics`)).text();
  expect(again).toContain('\ncoxswain_iterations_total 10\n');
  if (hasPromtool) {
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page });
    expect([status, stderr.toString()]).toEqual([0, '']);
  }
});

describe('a server that is told to stop', () => {
  test('is not ready, refuses new requests, and lets running ones finish', async () => {
    const server = await served();
    await using client = await new Client(server.port).open();
    const slow = server.post('/v1/completions', { ...ok, max_tokens: 370, n: 8, stream: true });
    client.send({ type: 'completion.create', id: 'w', ...ok, max_tokens: 370 });
    const stream = await slow;
    await client.until((frames) => frames.length > 0);
    const drained = server.api.drain(5000);
    const ready = await fetch(`${server.base}/ready`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: 'draining' }]);
    const late = await server.post('/v1/completions', ok);
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '1']);
    client.send({ type: 'completion.create', id: 'late', ...ok });
    expect((await stream.text()).endsWith('data: [DONE]\n\n')).toBe(true);
    await drained;
    expect(client.of('w', 'done')).toHaveLength(1);
    expect(client.of('late', 'error')).toMatchObject([{ error: { code: 'draining' } }]);
    await expect.poll(() => client.closed).toBe(true);
    await expect(fetch(`${server.base}/health`)).rejects.toThrow();
  });

  test('does not wait for a client that never sends its body', async () => {
    const server = await served();
    const req = request(
      { port: server.port, path: '/v1/completions', method: 'POST', headers: JSON_TYPE },
      () => undefined,
    );
    const closed = new Promise((resolve) => req.on('error', resolve));
    req.write('{');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.api.drain(50);
    expect(await closed).toBeInstanceOf(Error);
  });

  test('ends what does not finish in time, and says so', async () => {
    const server = await served();
    const body = { ...ok, prompt: '!hang', max_tokens: 9 };
    const whole = server.post('/v1/completions', body);
    const streamed = server.post('/v1/completions', { ...body, stream: true });
    await expect.poll(() => server.inference.running).toBe(2);
    await streamed;
    await server.api.drain(50);
    expect(server.inference.running).toBe(0);
    expect((await whole).status).toBe(503);
    const events = (await (await streamed).text()).trim().split('\n\n');
    expect(events.at(-2)).toContain('"code":"draining"');
  });
});
