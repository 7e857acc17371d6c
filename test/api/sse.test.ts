import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const ask = { model: 'tales', messages: [{ role: 'user', content: 'héy' }], stream: true };

/** The `data:` lines of a stream, parsed; [DONE] as it is. */
async function eventsOf(response: Response): Promise<Json[]> {
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const lines = (await response.text()).split('\n\n').filter((line) => line !== '');
  return lines.map((line) => {
    expect(line.startsWith('data: ')).toBe(true);
    const data = line.slice(6);
    return data === '[DONE]' ? { done: true } : (JSON.parse(data) as Json);
  });
}

test('a chat streams role, text, finish and [DONE], as OpenAI does', async () => {
  await using server = await served();
  const events = await eventsOf(
    await server.post('/v1/chat/completions', { ...ask, max_tokens: 4 }),
  );
  expect(events.at(-1)).toEqual({ done: true });
  const chunks = events.slice(0, -1);
  expect(new Set(chunks.map(({ id }) => id as string)).size).toBe(1);
  expect(chunks[0]).toEqual({
    id: expect.stringMatching(/^chatcmpl-/) as string,
    object: 'chat.completion.chunk',
    created: expect.any(Number) as number,
    model: 'tales',
    choices: [
      {
        index: 0,
        delta: { role: 'assistant', content: '', refusal: null },
        logprobs: null,
        finish_reason: null,
      },
    ],
  });
  expect(chunks.slice(1).map(({ choices }) => choices[0] as Json)).toEqual([
    { index: 0, delta: { content: 'h' }, logprobs: null, finish_reason: null },
    { index: 0, delta: { content: 'é' }, logprobs: null, finish_reason: null },
    { index: 0, delta: { content: 'y' }, logprobs: null, finish_reason: null },
    { index: 0, delta: {}, logprobs: null, finish_reason: 'length' },
  ]);
});

test('usage comes last, with no choices, and only if it was asked for', async () => {
  await using server = await served();
  const body = { ...ask, max_tokens: 4, n: 2 };
  const options = { include_usage: true, include_alignment: true };
  const events = await eventsOf(
    await server.post('/v1/chat/completions', { ...body, stream_options: options }),
  );
  const [last, done] = events.slice(-2);
  expect(done).toEqual({ done: true });
  expect(last).toMatchObject({ choices: [], usage: { completion_tokens: 8 } });
  expect(last?.alignment).toMatchObject({ strategy: 'sample' });
  expect(events.slice(0, -2).every((chunk) => chunk.usage === null)).toBe(true);
  const without = await eventsOf(
    await server.post('/v1/chat/completions', { ...body, stream_options: {} }),
  );
  expect(without.some((chunk) => 'usage' in chunk)).toBe(false);
});

test('choices interleave, and each opens and finishes once', async () => {
  await using server = await served();
  const body = { prompt: ['ab', 'cd'], n: 2, max_tokens: 3, stream: true, echo: true };
  const chunks = (await eventsOf(await server.post('/v1/completions', body))).slice(0, -1);
  const texts = ['', '', '', ''];
  const reasons: string[] = [];
  for (const { choices } of chunks) {
    texts[choices[0].index as number] += choices[0].text as string;
    if (choices[0].finish_reason !== null) reasons.push(choices[0].finish_reason as string);
  }
  expect(texts).toEqual(['ababa', 'ababa', 'cdcdc', 'cdcdc']);
  expect(reasons).toHaveLength(4);
});

test('log-probs and explain ride on the chunks of their tokens', async () => {
  await using server = await served();
  const body = {
    ...ask,
    max_tokens: 2,
    logprobs: true,
    top_logprobs: 1,
    alignment: { guides: [{ model: 'arm-happy' }], explain: true },
  };
  const chunks = await eventsOf(await server.post('/v1/chat/completions', body));
  expect(chunks[1]?.choices[0].logprobs.content).toEqual([
    {
      token: 'h',
      logprob: -0.5,
      bytes: [104],
      top_logprobs: [{ token: 'h', logprob: -0.5, bytes: [104] }],
    },
  ]);
  expect(chunks[1]?.choices[0].alignment.tokens[0]).toMatchObject({ token: 'h', guides: [-1] });
});

test('the first chunk of each choice carries its prompt’s log-probs, the others what is drawn', async () => {
  await using server = await served();
  const body = { prompt: ['ab', 'c'], n: 2, max_tokens: 2, logprobs: 1, echo: true, seed: 1 };
  const whole = (await (await server.post('/v1/completions', body)).json()) as Json;
  const chunks = await eventsOf(await server.post('/v1/completions', { ...body, stream: true }));
  for (const { index, text, logprobs } of whole.choices as Json[]) {
    const own = chunks
      .slice(0, -1)
      .flatMap(({ choices }) => (choices[0].index === index ? choices[0] : []));
    expect(own[0].text).toBe(index < 2 ? 'ab' : 'c');
    expect(own[0].logprobs.token_logprobs[0]).toBeNull();
    expect(own[0].logprobs.tokens).toHaveLength(index < 2 ? 3 : 2);
    expect(own.map((choice) => choice.text as string).join('')).toBe(text);
    for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'])
      expect(own.flatMap((choice) => (choice.logprobs?.[list] ?? []) as unknown[])).toEqual(
        logprobs[list],
      );
  }
});

test('a failure in mid-stream is an error event', async () => {
  await using server = await served();
  const body = { prompt: '!fail', max_tokens: 9, stream: true };
  const response = await server.post('/v1/completions', body);
  const events = await eventsOf(response);
  expect(response.status).toBe(200);
  expect(events.at(-2)).toMatchObject({ error: { code: 'internal_error' } });
  expect(JSON.stringify(events)).not.toContain('secret');
});

test('a client that leaves in mid-stream frees its slots', async () => {
  await using server = await served();
  const abort = new AbortController();
  const body = { ...ask, messages: [{ role: 'user', content: '!hang' }] };
  const init = { signal: abort.signal };
  const response = await server.post('/v1/chat/completions', body, init);
  await response.body?.getReader().read();
  expect(server.inference.running).toBe(1);
  abort.abort();
  await expect.poll(() => server.inference.running).toBe(0);
  const page = await (await fetch(`${server.base}/metrics`)).text();
  expect(page).toContain('coxswain_requests_cancelled_total{phase="decode"} 1');
});

test('a reader that stops reading stops its own generation, and is closed', async () => {
  await using server = await served();
  const logprobs = { logprobs: 20, alignment: { explain: true } };
  const body = JSON.stringify({ prompt: 'x', max_tokens: 380, n: 64, stream: true, ...logprobs });
  const socket = connect(server.port, '127.0.0.1');
  socket.pause();
  socket.write(
    `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await expect.poll(() => server.inference.pulled).toBeGreaterThan(100);
  await expect.poll(() => server.inference.running, { timeout: 5000 }).toBe(0);
  expect(server.inference.pulled).toBeLessThan(64 * 380);
  const page = await (await fetch(`${server.base}/metrics`)).text();
  expect(page).toContain('coxswain_ws_slow_closed_total 1');
  socket.destroy();
});
