/** The official SDK, unchanged, against the real HTTP side. */

import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Served } from '../fakes/server.ts';

const sdk = ({ base }: Served) =>
  new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user' as const, content: 'hello' }];
const alignment = { guides: [{ model: 'arm-happy', weight: 1 }] };

test('lists models, and finds one', async () => {
  await using server = await served();
  const ids: string[] = [];
  for await (const { id } of sdk(server).models.list()) ids.push(id);
  expect(ids).toEqual(['tales', 'sums', 'sums-tuned', 'tales:happy', 'sums:n']);
  expect((await sdk(server).models.retrieve('tales:happy')).owned_by).toBe('coxswain');
});

test('streams a guided chat with its usage', async () => {
  await using server = await served();
  const body = { model: 'tales', messages, max_tokens: 10, seed: 1, alignment };
  const stream = await sdk(server).chat.completions.create({
    ...body,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = '';
  let usage: unknown;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe('hellohello');
  expect(usage).toMatchObject({ completion_tokens: 10 });
  expect(server.inference.plans[0]?.opening.guidance.uses).toHaveLength(1);
});

test('answers whole chats and completions, log-probs included', async () => {
  await using server = await served();
  const chat = await sdk(server).chat.completions.create({
    model: 'tales',
    messages,
    max_completion_tokens: 5,
    logprobs: true,
    top_logprobs: 2,
  });
  expect(chat.choices[0]?.message.content).toBe('hello');
  expect(chat.choices[0]?.logprobs?.content?.[0]?.top_logprobs).toHaveLength(2);
  const text = await sdk(server).completions.create({ model: 'tales', prompt: ['ab', 'c'], n: 2 });
  expect(text.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
});

test('throws its own errors, with the field at fault', async () => {
  await using server = await served();
  const ask = (fields: object) =>
    sdk(server).completions.create({ model: 'tales', prompt: 'x', ...fields });
  await expect(ask({ temperature: -1 })).rejects.toMatchObject({
    status: 400,
    code: 'invalid_value',
    param: 'temperature',
  });
  await expect(ask({ model: 'nope' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  await expect(ask({ prompt: '!refuse' })).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  const stream = await sdk(server).completions.create({
    model: 'tales',
    prompt: '!fail',
    stream: true,
  });
  const read = async (): Promise<void> => {
    for await (const _ of stream);
  };
  await expect(read()).rejects.toMatchObject({ code: 'internal_error' });
});

test('may leave in the middle, and may not be retried into a second costly failure', async () => {
  await using server = await served();
  const body = { model: 'tales', messages: [{ role: 'user' as const, content: '!hang' }] };
  const stream = await sdk(server).chat.completions.create({ ...body, stream: true });
  for await (const _ of stream) break;
  await expect.poll(() => server.inference.running).toBe(0);
  const retrying = new OpenAI({ baseURL: `${server.base}/v1`, apiKey: 'none', maxRetries: 2 });
  const failing = retrying.completions.create({ model: 'tales', prompt: '!fail' });
  await expect(failing).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  expect(server.inference.plans).toHaveLength(2);
});
