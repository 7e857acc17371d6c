/** The official OpenAI SDK against the real server with the default pack. */

import OpenAI, { APIError } from 'openai';
import { VERSION } from 'openai/version';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Served } from '../support/server.ts';

let server: Served;
let client: OpenAI;

beforeAll(async () => {
  server = await serve();
  client = new OpenAI({ baseURL: `${server.base}/v1`, apiKey: 'none', maxRetries: 0 });
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const guided = (weight: number): object => ({
  alignment: { guides: [{ model: 'arm-happy', weight }] },
});
const story = {
  model: 'tales',
  messages: [{ role: 'user' as const, content: 'Tell me a story about a girl named Emma.' }],
};

test('the SDK is the one that is meant', () => {
  expect(VERSION).toBe(process.env['OPENAI_SDK']);
});

test('lists the policy and the presets', async () => {
  const names: string[] = [];
  for await (const model of client.models.list()) names.push(model.id);
  expect(names).toEqual(expect.arrayContaining(['tales', 'tales:happy', 'tales:kind']));
  expect((await client.models.retrieve('tales')).id).toBe('tales');
});

test('answers a chat, whole and streamed, with the same text for the same seed', async () => {
  const whole = await client.chat.completions.create({ ...story, seed: 5, max_tokens: 40 });
  let streamed = '';
  let usage: unknown = null;
  const stream = await client.chat.completions.create({
    ...story,
    seed: 5,
    max_tokens: 40,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  expect(streamed).toBe(whole.choices[0]?.message.content);
  expect(usage).toMatchObject({ completion_tokens: whole.usage?.completion_tokens });
});

test('takes guides in the call and presets by name', async () => {
  const ask = { prompt: 'One day, a boy named Tom lost his kite.', seed: 3, max_tokens: 60 };
  const plain = await client.completions.create({ ...ask, model: 'tales' });
  const zero = await client.completions.create({ ...ask, model: 'tales', ...guided(0) });
  const happy = await client.completions.create({ ...ask, model: 'tales', ...guided(0.5) });
  const preset = await client.completions.create({ ...ask, model: 'tales:happy' });
  expect(zero.choices[0]?.text).toBe(plain.choices[0]?.text);
  expect(happy.choices[0]?.text).not.toBe(plain.choices[0]?.text);
  expect(preset.choices[0]?.text).toBe(happy.choices[0]?.text);
});

test('gives n choices, and log-probs that add up', async () => {
  const two = await client.chat.completions.create({
    ...story,
    n: 2,
    seed: 1,
    max_tokens: 20,
    logprobs: true,
    top_logprobs: 3,
  });
  expect(two.choices.map(({ index }) => index)).toEqual([0, 1]);
  for (const { logprobs, message } of two.choices) {
    const content = logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join('')).toBe(message.content);
    for (const { logprob, top_logprobs: top } of content) {
      expect(logprob).toBeLessThanOrEqual(1e-5);
      expect(top).toHaveLength(3);
    }
  }
});

test('the streaming helper assembles the answer', async () => {
  const stream = client.chat.completions.stream({ ...story, seed: 5, max_tokens: 30 });
  let deltas = '';
  stream.on('content', (delta) => (deltas += delta));
  const final = await stream.finalChatCompletion();
  expect(final.choices[0]?.message.content).toBe(deltas);
});

test('errors arrive as the SDK’s own classes, with the field', async () => {
  const wrong = client.completions.create({ model: 'tales', prompt: 'x', temperature: -1 });
  await expect(wrong).rejects.toMatchObject({ status: 400, param: 'temperature' });
  await expect(client.completions.create({ model: 'nope', prompt: 'x' })).rejects.toBeInstanceOf(
    OpenAI.NotFoundError,
  );
  await expect(wrong).rejects.toBeInstanceOf(APIError);
});

test('an abort ends the stream, and the server goes on', async () => {
  const stream = await client.chat.completions.create({
    ...story,
    stream: true,
    max_tokens: 300,
    logit_bias: { '0': -100 },
  });
  let chunks = 0;
  for await (const _ of stream) if (++chunks === 5) stream.controller.abort();
  expect(chunks).toBeLessThan(300);
  const next = await client.completions.create({ model: 'tales', prompt: 'One', max_tokens: 4 });
  expect(next.choices).toHaveLength(1);
});
