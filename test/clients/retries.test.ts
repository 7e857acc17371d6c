/** What the official SDK makes of failures: its own classes, and whether it tries again. */

import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Served } from '../fakes/server.ts';

const sdk = ({ base }: Served, maxRetries: number) =>
  new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries });
const say = (content: string) => ({
  model: 'tales',
  max_tokens: 9,
  messages: [{ role: 'user' as const, content }],
});

async function readToEnd(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

test('a full queue is tried again, after the time that the server asks for', async () => {
  await using server = await served();
  const full = sdk(server, 1).chat.completions.create(say('!refuse'));
  await expect(full).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  await expect(full).rejects.toMatchObject({ code: 'queue_full' });
  expect(server.inference.plans).toHaveLength(2);
  const stream = sdk(server, 1).chat.completions.create({ ...say('!refuse'), stream: true });
  await expect(stream).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  expect(server.inference.plans).toHaveLength(4);
});

test('a failure that would happen again is not tried again', async () => {
  await using server = await served();
  const failed = sdk(server, 3).chat.completions.create(say('!fail'));
  await expect(failed).rejects.toBeInstanceOf(OpenAI.InternalServerError);
  expect(server.inference.plans).toHaveLength(1);
});

test('a failure in the middle of a stream is thrown, not taken for the end', async () => {
  await using server = await served();
  const client = sdk(server, 3);
  const chat = await client.chat.completions.create({ ...say('!fail'), stream: true });
  await expect(readToEnd(chat)).rejects.toMatchObject({ code: 'internal_error' });
  const responses = await client.responses.create({ input: '!fail', stream: true });
  await expect(readToEnd(responses)).rejects.toMatchObject({ code: 'internal_error' });
  await expect(client.responses.stream({ input: '!fail' }).finalResponse()).rejects.toThrow();
});

test('an abort frees the request', async () => {
  await using server = await served();
  const stop = new AbortController();
  const whole = sdk(server, 0).chat.completions.create(say('!hang'), { signal: stop.signal });
  await expect.poll(() => server.inference.running).toBe(1);
  stop.abort();
  await expect(whole).rejects.toBeInstanceOf(OpenAI.APIUserAbortError);
  await expect.poll(() => server.inference.running).toBe(0);
});
