import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const ok = { model: 'tales', prompt: 'One day', max_tokens: 5 };

const jsonOf = async (response: Response): Promise<Json> => (await response.json()) as Json;

test('a whole answer has OpenAI’s shape, with usage and alignment', async () => {
  await using server = await served();
  const response = await server.post('/v1/completions', { ...ok, n: 2, seed: 3 });
  expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{24}$/);
  expect(await jsonOf(response)).toEqual({
    id: expect.stringMatching(/^cmpl-[0-9a-f]{24}$/) as string,
    object: 'text_completion',
    created: expect.any(Number) as number,
    model: 'tales',
    choices: [0, 1].map((index) => ({
      index,
      text: 'One d',
      logprobs: null,
      finish_reason: 'length',
    })),
    usage: {
      prompt_tokens: 8,
      completion_tokens: 10,
      total_tokens: 18,
      prompt_tokens_details: { cached_tokens: 2 },
      alignment: { generated_tokens: 10, pruned_tokens: 0, reward_tokens: 0, guide_tokens: 0 },
    },
    alignment: {
      strategy: 'sample',
      seed: 3,
      candidates: [],
      budget_exhausted: null,
      kl: { value: 0, estimator: expect.stringContaining('log pi - log p') as string },
      tokens_saved: 0,
    },
  });
});

test('a seed that was not given is drawn, and told', async () => {
  await using server = await served();
  const seeds = await Promise.all(
    [1, 2].map(async () => (await jsonOf(await server.post('/v1/completions', ok))).alignment.seed),
  );
  expect(seeds[0]).not.toBe(seeds[1]);
  expect(Number.isSafeInteger(seeds[0])).toBe(true);
});

test('echo puts each prompt before its answers', async () => {
  await using server = await served();
  const body = { prompt: ['ab', [105, 107]], echo: true, n: 2, max_tokens: 3 };
  const { choices } = await jsonOf(await server.post('/v1/completions', body));
  expect(choices.map(({ text }: Json) => text as string)).toEqual([
    'ababa',
    'ababa',
    'acaca',
    'acaca',
  ]);
});

test('echo with log-probs tells those of prompt and answer in one, the first token’s being null', async () => {
  await using server = await served();
  const body = { prompt: ['é🙂', [105, 107]], echo: true, logprobs: 1, max_tokens: 2 };
  const { choices } = await jsonOf(await server.post('/v1/completions', body));
  expect(choices[0].text).toBe('é🙂é');
  expect(choices[0].logprobs.tokens).toEqual([
    '<|0|>',
    ...['c3', 'a9', 'f0', '9f', '99', '82', 'c3', 'a9'].map((byte) => `bytes:\\x${byte}`),
  ]);
  expect(choices[0].logprobs.token_logprobs).toEqual([null, ...Array<number>(8).fill(-0.5)]);
  expect(choices[0].logprobs.text_offset).toEqual([0, 0, 0, 1, 1, 1, 1, 2, 2]);
  expect(choices[1].logprobs).toEqual({
    tokens: ['a', 'c', 'a', 'c'],
    token_logprobs: [null, -0.5, -0.5, -0.5],
    top_logprobs: [null, { c: -0.5 }, { a: -0.5 }, { c: -0.5 }],
    text_offset: [0, 1, 2, 3],
  });
});

test('max_tokens 0 beside echo reads a prompt and says nothing', async () => {
  await using server = await served();
  const body = { prompt: 'ab', echo: true, logprobs: 0, max_tokens: 0, n: 2 };
  const { choices, usage } = await jsonOf(await server.post('/v1/completions', body));
  for (const choice of choices as Json[])
    expect(choice).toMatchObject({
      text: 'ab',
      finish_reason: 'length',
      logprobs: {
        tokens: ['<|0|>', 'a', 'b'],
        token_logprobs: [null, -0.5, -0.5],
        top_logprobs: null,
      },
    });
  expect(choices).toHaveLength(2);
  expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
});

test('a stop string ends an answer before it', async () => {
  await using server = await served();
  const { choices } = await jsonOf(
    await server.post('/v1/completions', { ...ok, stop: ['da'], max_tokens: 20 }),
  );
  expect(choices[0]).toMatchObject({ text: 'One ', finish_reason: 'stop' });
});

test('log-probs list tokens, offsets in characters, and the drawn token among the likeliest', async () => {
  await using server = await served();
  const body = { ...ok, prompt: 'aé🙂', max_tokens: 7, logprobs: 2 };
  const { choices } = await jsonOf(await server.post('/v1/completions', body));
  expect(choices[0].text).toBe('aé🙂');
  expect(choices[0].logprobs).toEqual({
    tokens: [
      'a',
      'bytes:\\xc3',
      'bytes:\\xa9',
      'bytes:\\xf0',
      'bytes:\\x9f',
      'bytes:\\x99',
      'bytes:\\x82',
    ],
    token_logprobs: Array(7).fill(-0.5),
    top_logprobs: expect.any(Array) as unknown[],
    text_offset: [0, 1, 1, 2, 2, 2, 2],
  });
  expect(choices[0].logprobs.top_logprobs[0]).toEqual({ a: -0.5, '<|1|>': -9999 });
});

test('explain tells what the policy, the law and each guide made of every token', async () => {
  await using server = await served();
  const guides = [
    { model: 'arm-happy', weight: 0 },
    { model: 'arm-kind', weight: 2 },
  ];
  const body = { ...ok, max_tokens: 1, alignment: { guides, explain: true } };
  const { choices, usage, alignment } = await jsonOf(await server.post('/v1/completions', body));
  expect(choices[0].alignment.tokens).toEqual([
    { token: 'O', base: -1, guided: -0.5, kl: 0.25, guides: [null, -2] },
  ]);
  expect(usage.alignment.guide_tokens).toBe(1);
  expect(alignment.kl.value).toBe(0.5);
});

test('a failure in the engine keeps its internals to itself and is not worth a retry', async () => {
  await using server = await served();
  const response = await server.post('/v1/completions', { ...ok, prompt: '!fail', stream: false });
  const { error } = await jsonOf(response);
  expect(response.status).toBe(500);
  expect(response.headers.get('x-should-retry')).toBe('false');
  expect(error).toMatchObject({ code: 'internal_error', type: 'server_error', param: null });
  expect(error.message).toContain(response.headers.get('x-request-id'));
  expect(error.message).not.toContain('secret');
});

test('a full queue asks to come back', async () => {
  await using server = await served();
  for (const stream of [true, false]) {
    const response = await server.post('/v1/completions', { ...ok, prompt: '!refuse', stream });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('1');
    expect((await jsonOf(response)).error.code).toBe('queue_full');
  }
});

test('a client that leaves before a whole answer frees its slots', async () => {
  await using server = await served();
  const abort = new AbortController();
  const body = { ...ok, prompt: '!hang', max_tokens: 9 };
  const answer = server.post('/v1/completions', body, { signal: abort.signal });
  await expect.poll(() => server.inference.running).toBe(1);
  abort.abort();
  await expect(answer).rejects.toThrow();
  await expect.poll(() => server.inference.running).toBe(0);
  const page = await (await fetch(`${server.base}/metrics`)).text();
  expect(page).toContain(
    'coxswain_requests_total{endpoint="/v1/completions",model="tales",strategy="sample",code="cancelled"} 1',
  );
  expect(page).toContain('coxswain_requests_cancelled_total{phase="waiting"} 1');
});
