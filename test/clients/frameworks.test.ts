/** LangChain and the Vercel AI SDK, their own client code, against the real server with the default pack. */

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { HumanMessage, SystemMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText } from 'ai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Served } from '../support/server.ts';

let server: Served;
let baseURL: string;

beforeAll(async () => {
  server = await serve();
  baseURL = `${server.base}/v1`;
}, 240_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

const prompt = 'Tell me a story about a girl named Emma.';
const alignment = { guides: [{ model: 'arm-happy', weight: 1 }] };

test('LangChain invokes and streams, with our fields in modelKwargs', async () => {
  const chat = new ChatOpenAI({
    model: 'tales',
    apiKey: 'none',
    maxTokens: 20,
    maxRetries: 0,
    configuration: { baseURL },
    modelKwargs: { seed: 5, alignment },
  });
  const messages = [new SystemMessage('Be kind.'), new HumanMessage(prompt)];
  const whole = await chat.invoke(messages);
  expect(whole.text.length).toBeGreaterThan(5);
  expect(whole).toMatchObject({ usage_metadata: { output_tokens: 20 } });
  let text = '';
  for await (const chunk of await chat.stream(messages)) text += chunk.text;
  expect(text).toBe(whole.text);
  const mood = {
    type: 'object',
    title: 'mood',
    properties: { happy: { type: 'boolean' } },
    required: ['happy'],
    additionalProperties: false,
  };
  const structured = chat.withStructuredOutput<{ happy: boolean }>(mood, {
    method: 'jsonSchema',
    strict: true,
  });
  expect(typeof (await structured.invoke(messages)).happy).toBe('boolean');
});

test('LangChain speaks the Responses API too', async () => {
  const chat = new ChatOpenAI({
    model: 'tales',
    apiKey: 'none',
    maxTokens: 20,
    maxRetries: 0,
    useResponsesApi: true,
    configuration: { baseURL },
  });
  const whole = await chat.invoke([new HumanMessage(prompt)]);
  expect(whole.text.length).toBeGreaterThan(5);
  let text = '';
  for await (const chunk of await chat.stream([new HumanMessage(prompt)])) text += chunk.text;
  expect(text.length).toBeGreaterThan(5);
});

test('the AI SDK generates and streams chats of an OpenAI-compatible server', async () => {
  const provider = createOpenAICompatible({ name: 'coxswain', baseURL, includeUsage: true });
  const ask = {
    model: provider('tales'),
    prompt,
    maxOutputTokens: 20,
    seed: 5,
    maxRetries: 0,
    providerOptions: { coxswain: { alignment } },
  };
  const { text, usage } = await generateText(ask);
  expect(text.length).toBeGreaterThan(5);
  expect(usage.outputTokens).toBe(20);
  const stream = streamText(ask);
  expect(await stream.text).toBe(text);
  expect((await stream.usage).outputTokens).toBe(20);
});

test('the AI SDK speaks the Responses API, and refers to earlier answers as items', async () => {
  const provider = createOpenAI({ baseURL, apiKey: 'none' });
  const ask = { model: provider.responses('tales'), maxOutputTokens: 20, maxRetries: 0 };
  const first = await generateText({ ...ask, prompt });
  expect(first.text.length).toBeGreaterThan(5);
  const messages = [
    { role: 'user' as const, content: prompt },
    ...first.response.messages,
    { role: 'user' as const, content: 'And then?' },
  ];
  const stream = streamText({ ...ask, messages });
  expect((await stream.text).length).toBeGreaterThan(5);
  expect(await stream.finishReason).toBe('length');
});
