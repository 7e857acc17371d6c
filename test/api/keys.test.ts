import { describe, expect, test } from 'vitest';
import { hashKey } from '../../src/ops/keys.ts';
import type { Key } from '../../src/ops/keys.ts';
import { Client, served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

const ok = { model: 'tales', prompt: 'One day', max_tokens: 5 };

const key = (name: string, terms: Omit<Key, 'sha256' | 'env'> = {}): Record<string, Key> => ({
  [name]: { sha256: hashKey(`secret-${name}`), ...terms },
});
const bearer = (name: string) => ({ authorization: `Bearer secret-${name}` });

const ask = (server: Served, name: string, body: object, init: RequestInit = {}) =>
  server.post('/v1/completions', body, {
    headers: { 'content-type': 'application/json', ...bearer(name) },
    ...init,
  });

const errorOf = async (response: Response): Promise<Json> =>
  ((await response.json()) as Json)['error'] as Json;

test('every route but /health needs a key', async () => {
  await using server = await served({ keys: key('a') });
  expect((await fetch(`${server.base}/health`)).status).toBe(200);
  const routes = [
    '/ready',
    '/metrics',
    '/version',
    '/openapi.json',
    '/v1/models',
    '/v1/models/tales',
    '/nope',
    '/',
  ];
  for (const path of routes) {
    const refused = await fetch(server.base + path);
    expect([path, refused.status]).toEqual([path, 401]);
    const known = await fetch(server.base + path, { headers: bearer('a') });
    expect([path, known.status]).not.toEqual([path, 401]);
  }
  const posts = [
    '/v1/responses',
    '/v1/responses/resp_x/cancel',
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/score',
    '/tokenize',
    '/detokenize',
  ];
  for (const path of posts) expect((await server.post(path, {})).status).toBe(401);
  expect(server.inference.plans).toHaveLength(0);
});

test('a refusal has OpenAI’s shape, and says nothing of the key that was given', async () => {
  await using server = await served({ keys: { ...key('a'), ...key('b') } });
  const wrong = [
    undefined,
    'secret-a',
    'Basic secret-a',
    'Bearer',
    'Bearer secret-',
    'Bearer secret-ab',
  ];
  for (const authorization of wrong) {
    const headers = authorization === undefined ? {} : { authorization };
    const response = await fetch(`${server.base}/v1/models`, { headers });
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    const error = await errorOf(response);
    expect(error).toMatchObject({
      type: 'authentication_error',
      code: 'invalid_api_key',
      param: null,
    });
    expect(error['message']).not.toContain('secret');
  }
  for (const name of ['a', 'b']) expect((await ask(server, name, ok)).status).toBe(200);
  const other = await fetch(`${server.base}/v1/models`, {
    headers: { authorization: 'bearer secret-b' },
  });
  expect(other.status).toBe(200);
});

test('the config may open further routes', async () => {
  await using server = await served({ keys: key('a'), open_routes: ['/ready', '/ping', '/load'] });
  for (const path of ['/ready', '/ping', '/load'])
    expect((await fetch(server.base + path)).status).toBe(200);
  expect((await fetch(`${server.base}/version`)).status).toBe(401);
});

describe('a WebSocket', () => {
  test('is opened with a key in its header, or among its subprotocols', async () => {
    await using server = await served({ keys: key('a') });
    await using header = await new Client(server.port, undefined, { headers: bearer('a') }).open();
    const protocols = ['openai-insecure-api-key.secret-a', 'coxswain'];
    await using browser = await new Client(server.port, undefined, { protocols }).open();
    expect(browser.ws.protocol).toBe('coxswain');
    for (const client of [header, browser]) {
      client.send({ type: 'completion.create', id: 'x', ...ok });
      await client.until((frames) => frames.some(({ type }) => type === 'done'));
    }
    expect(server.inference.plans.map(({ opening }) => opening.salt)).toEqual(['a', 'a']);
  });

  test('without one is refused before it is opened', async () => {
    await using server = await served({ keys: key('a') });
    const protocols = ['openai-insecure-api-key.secret-b'];
    for (const options of [{}, { headers: bearer('b') }, { protocols }]) {
      const { ws } = new Client(server.port, undefined, options);
      const [status, text] = await new Promise<[number | undefined, string]>((resolve) =>
        ws.on('unexpected-response', (_, res) => {
          let body = '';
          res.setEncoding('utf8').on('data', (piece: string) => (body += piece));
          res.on('end', () => resolve([res.statusCode, body]));
        }),
      );
      expect(status).toBe(401);
      expect(JSON.parse(text)).toMatchObject({ error: { code: 'invalid_api_key' } });
    }
  });

  test('has its requests counted with those over HTTP', async () => {
    await using server = await served({ keys: key('a', { concurrency: 1 }) });
    await using client = await new Client(server.port, undefined, { headers: bearer('a') }).open();
    client.send({ type: 'completion.create', id: 'x', ...ok, prompt: '!hang' });
    await expect.poll(() => server.inference.running).toBe(1);
    client.send({ type: 'completion.create', id: 'y', ...ok });
    await client.until((frames) => frames.some(({ id }) => id === 'y'));
    expect(client.of('y', 'error')).toMatchObject([{ error: { code: 'rate_limit_exceeded' } }]);
    expect((await ask(server, 'a', ok)).status).toBe(429);
  });
});

describe('names', () => {
  const limited = key('a', { models: ['tales', 'arm-happy', 'rm-happy-a'] });
  const presets = key('p', { models: ['tales:happy'] });
  const guided = (model: string) => ({ ...ok, alignment: { guides: [{ model, weight: 1 }] } });
  const best = { type: 'best_of_n', n: 2 };
  const judged = (model: string) => ({
    ...ok,
    alignment: { strategy: best, rewards: [{ model }] },
  });
  const scored = (model: string) => ({ model, queries: 'a', documents: 'b' });

  test('that a key may use are served, and others are forbidden', async () => {
    await using server = await served({ keys: { ...limited, ...presets } });
    for (const body of [ok, guided('arm-happy'), judged('rm-happy-a')])
      expect((await ask(server, 'a', body)).status).toBe(200);
    const forbidden = [
      [{ ...ok, model: 'tales:happy' }, 'model'],
      [guided('arm-kind'), 'alignment.guides'],
      [judged('rm-late'), 'alignment.rewards[0].model'],
    ] as const;
    for (const [body, param] of forbidden) {
      const response = await ask(server, 'a', body);
      expect(response.status).toBe(403);
      expect(await errorOf(response)).toMatchObject({
        type: 'permission_error',
        code: 'forbidden_model',
        param,
      });
    }
    const headers = { 'content-type': 'application/json', ...bearer('a') };
    expect((await server.post('/v1/score', scored('rm-happy-a'), { headers })).status).toBe(200);
    expect((await server.post('/v1/score', scored('rm-late'), { headers })).status).toBe(403);
    const texts = { queries: 'a', documents: 'b' };
    const rewards = [{ model: 'rm-happy-a' }];
    const bounds = [{ reward: 'rm-late', min: 0 }];
    const bounded = { ...texts, alignment: { rewards, constraints: bounds } };
    expect((await server.post('/v1/score', bounded, { headers })).status).toBe(403);
    for (const path of ['/tokenize', '/detokenize'])
      for (const [model, status] of [
        ['tales', 200],
        ['arm-kind', 403],
      ] as const) {
        const body = { model, prompt: 'a', tokens: [5] };
        expect((await server.post(path, body, { headers })).status).toBe(status);
      }
  });

  test('of presets stand for what they bring along, as they are', async () => {
    await using server = await served({ keys: { ...limited, ...presets } });
    const preset = { ...ok, model: 'tales:happy' };
    expect((await ask(server, 'p', preset)).status).toBe(200);
    expect((await ask(server, 'p', { ...preset, alignment: { explain: true } })).status).toBe(200);
    for (const alignment of [
      { guides: [] },
      { max_kl: 0 },
      { guides: [{ model: 'arm-happy', weight: 0 }] },
    ])
      expect((await ask(server, 'p', { ...preset, alignment })).status).toBe(403);
    expect((await ask(server, 'p', ok)).status).toBe(403);
  });

  test('that a key may not use are not listed', async () => {
    await using server = await served({ keys: { ...limited, ...presets } });
    const listed = async (name: string) => {
      const { data } = (await (
        await fetch(`${server.base}/v1/models`, { headers: bearer(name) })
      ).json()) as Json;
      return (data as Json[]).map(({ id }) => id as string);
    };
    expect([await listed('a'), await listed('p')]).toEqual([['tales'], ['tales:happy']]);
    const one = (model: string) =>
      fetch(`${server.base}/v1/models/${model}`, { headers: bearer('p') });
    expect([(await one('tales:happy')).status, (await one('tales')).status]).toEqual([200, 403]);
  });
});

test('responses of one key are not there for another', async () => {
  await using server = await served({ keys: { ...key('a'), ...key('b') } });
  const headers = (name: string) => ({ 'content-type': 'application/json', ...bearer(name) });
  const post = (name: string, body: object) =>
    server.post('/v1/responses', body, { headers: headers(name) });
  const { id } = (await (await post('a', { input: 'x', max_output_tokens: 16 })).json()) as Json;
  const read = (name: string) =>
    fetch(`${server.base}/v1/responses/${String(id)}`, { headers: bearer(name) });
  expect([(await read('a')).status, (await read('b')).status]).toEqual([200, 404]);
  const next = { input: 'y', max_output_tokens: 16, previous_response_id: id as string };
  expect((await post('b', next)).status).toBeGreaterThanOrEqual(400);
  expect((await post('a', next)).status).toBe(200);
});

test('no request costs more than its key allows', async () => {
  await using server = await served({ keys: key('a', { max_cost: 20 }) });
  const refused = await ask(server, 'a', { ...ok, max_tokens: 11, n: 2 });
  expect([refused.status, (await errorOf(refused))['param']]).toEqual([400, 'max_tokens']);
  expect((await ask(server, 'a', { prompt: 'x', n: 2 })).status).toBe(200);
  expect(server.inference.plans.at(-1)?.opening.maxTokens).toBe(10);
});

describe('tokens a minute', () => {
  const left = ({ headers }: Response) => Number(headers.get('x-ratelimit-remaining-tokens'));

  test('are charged with choices and guides, and given back where an answer ended early', async () => {
    await using server = await served({ keys: key('a', { tokens_per_minute: 1300 }) });
    const guides = [{ model: 'arm-happy', weight: 1 }];
    const body = { ...ok, prompt: 'abc!end', max_tokens: 300, n: 2, alignment: { guides } };
    const response = await ask(server, 'a', body);
    // 8 prompt tokens on two lanes, and 300 of 2 choices on two lanes: 84 are left, and 22 come a second
    expect(left(response)).toBeGreaterThanOrEqual(84);
    expect(left(response)).toBeLessThan(692);
    expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('1300');
    expect(response.headers.get('x-ratelimit-reset-tokens')).toMatch(/^\d+ms$/);
    // each choice drew 8 tokens on two lanes, after a prompt of 8
    const next = await ask(server, 'a', { ...ok, prompt: 'x', max_tokens: 1 });
    expect(left(next)).toBeGreaterThanOrEqual(1300 - 8 - 32 - 3);
  });

  test('that are not there yet are a 429 that says when they will be', async () => {
    await using server = await served({
      keys: { ...key('a', { tokens_per_minute: 60 }), ...key('b') },
    });
    expect((await ask(server, 'a', { ...ok, prompt: 'x', max_tokens: 48 })).status).toBe(200);
    const refused = await ask(server, 'a', { ...ok, prompt: 'x', max_tokens: 48 });
    expect(refused.status).toBe(429);
    expect(await errorOf(refused)).toMatchObject({
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
    });
    // 50 a request: 10 left, 40 missing at one a second
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(30);
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(40);
    expect(refused.headers.get('x-ratelimit-limit-tokens')).toBe('60');
    expect((await ask(server, 'b', { ...ok, max_tokens: 48 })).status).toBe(200);
  });

  test('that will never be there are a 400', async () => {
    await using server = await served({ keys: key('a', { tokens_per_minute: 60 }) });
    const refused = await ask(server, 'a', { ...ok, max_tokens: 60 });
    expect([refused.status, (await errorOf(refused))['param']]).toEqual([400, 'max_tokens']);
  });

  test('that were generated are charged, though the request failed', async () => {
    await using server = await served({ keys: key('a', { tokens_per_minute: 400 }) });
    const failing = { ...ok, prompt: '!fail', max_tokens: 300, stream: true };
    expect(await (await ask(server, 'a', failing)).text()).toContain('internal_error');
    // a prompt of 6, and 3 tokens before it failed; then a prompt of 2, and one token
    const after = left(await ask(server, 'a', { ...ok, prompt: 'x', max_tokens: 1 }));
    expect(after).toBeGreaterThanOrEqual(400 - 9 - 3);
    expect(after).toBeLessThan(400 - 3);
    await using other = await served({ keys: key('a', { tokens_per_minute: 400 }) });
    expect((await ask(other, 'a', { ...failing, prompt: '!refuse' })).status).toBe(429);
    expect(left(await ask(other, 'a', { ...ok, prompt: 'x', max_tokens: 1 }))).toBe(397);
  });

  test('are charged for texts whose judgement the client did not wait for', async () => {
    await using server = await served({ keys: key('a', { tokens_per_minute: 400 }) });
    const headers = { 'content-type': 'application/json', ...bearer('a') };
    const leave = new AbortController();
    const body = { model: 'rm-happy-a', queries: 'x'.repeat(92), documents: '!hang' };
    const judged = server.post('/v1/score', body, { headers, signal: leave.signal });
    await expect.poll(() => server.inference.running).toBe(1);
    leave.abort();
    await expect(judged).rejects.toThrow();
    await expect.poll(() => server.inference.running).toBe(0);
    // a start token, 92 and 5 bytes, an end token; then a prompt of 2, and one token
    const after = left(await ask(server, 'a', { ...ok, prompt: 'x', max_tokens: 1 }));
    expect(after).toBeGreaterThanOrEqual(400 - 99 - 3);
    expect(after).toBeLessThan(400 - 50);
  });

  test('are given back for what a client that left has not had, and for what failed', async () => {
    await using server = await served({ keys: key('a', { tokens_per_minute: 400 }) });
    const leave = new AbortController();
    const body = { ...ok, prompt: '!hang', max_tokens: 370, stream: true };
    const reader = (await ask(server, 'a', body, { signal: leave.signal })).body!.getReader();
    await reader.read();
    leave.abort();
    await expect
      .poll(async () => (await ask(server, 'a', { ...body, prompt: '!fail' })).status)
      .toBe(200);
    await expect
      .poll(async () => (await ask(server, 'a', { ...body, prompt: 'x' })).status)
      .toBe(200);
  });
});

test('token ids are charged as what they count, and an allowance that is spent is spent for them too', async () => {
  await using server = await served({ keys: key('a', { tokens_per_minute: 60, concurrency: 1 }) });
  const headers = { 'content-type': 'application/json', ...bearer('a') };
  const left = ({ headers: got }: Response) => Number(got.get('x-ratelimit-remaining-tokens'));
  const tokenized = await server.post('/tokenize', { prompt: 'x'.repeat(29) }, { headers });
  expect([tokenized.status, left(tokenized)]).toEqual([200, 30]);
  const tokens = Array.from({ length: 40 }, () => 5);
  const detokenized = await server.post('/detokenize', { tokens }, { headers });
  expect([detokenized.status, left(detokenized)]).toEqual([200, 0]);
  for (const path of ['/tokenize', '/detokenize']) {
    const refused = await server.post(path, { prompt: 'x', tokens: [5] }, { headers });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  // what is not valid costs nothing
  await using other = await served({ keys: key('a', { tokens_per_minute: 60 }) });
  expect((await other.post('/tokenize', {}, { headers })).status).toBe(400);
  expect(left(await other.post('/tokenize', { prompt: '' }, { headers }))).toBe(59);
});

test('requests of one key are counted, and those of others are not in their way', async () => {
  await using server = await served({
    keys: { ...key('a', { concurrency: 2 }), ...key('b', { concurrency: 1 }) },
  });
  const leave = new AbortController();
  const hang = { ...ok, prompt: '!hang', stream: true };
  await Promise.all([1, 2].map(() => ask(server, 'a', hang, { signal: leave.signal })));
  const third = await ask(server, 'a', ok);
  expect([third.status, third.headers.get('retry-after')]).toEqual([429, '1']);
  expect((await ask(server, 'b', ok)).status).toBe(200);
  leave.abort();
  await expect.poll(async () => (await ask(server, 'a', ok)).status).toBe(200);
});
