/** Structured output with the official OpenAI SDK and zod, against the real server with the default pack. */

import OpenAI, { BadRequestError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
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

const story = {
  model: 'tales',
  messages: [{ role: 'user' as const, content: 'Tell me a story about a girl named Emma.' }],
};
const Toy = z.object({
  name: z.string(),
  colour: z.enum(['red', 'blue']),
  wheels: z.int().min(0).max(8),
  parts: z.array(z.object({ title: z.string(), heavy: z.boolean() })).max(3),
});
const format = zodResponseFormat(Toy, 'toy');

test('parse gives what the zod schema describes, whatever the seed and the limit', async () => {
  for (const [seed, max_tokens] of [60, 60, 100, 200, undefined].entries()) {
    const asked = { ...story, seed, ...(max_tokens === undefined ? {} : { max_tokens }) };
    const answer = await client.chat.completions.parse({ ...asked, response_format: format });
    const [choice] = answer.choices;
    expect(choice?.finish_reason).toBe('stop');
    expect(Toy.parse(choice?.message.parsed)).toEqual(JSON.parse(choice?.message.content ?? ''));
  }
});

test('json_object is one, streamed as whole, under guides, strategies and sampling', async () => {
  const alignments = [
    {},
    { guides: [{ model: 'arm-happy', weight: 1 }] },
    { strategy: { type: 'best_of_n', n: 4 }, rewards: [{ model: 'rm-happy-a' }] },
    { strategy: { type: 'beam', width: 3 } },
  ];
  for (const alignment of alignments) {
    const ask = {
      ...story,
      seed: 9,
      max_tokens: 40,
      response_format: { type: 'json_object' as const },
      alignment,
    };
    const whole = await client.chat.completions.create(ask);
    let text = '';
    for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
      text += chunk.choices[0]?.delta.content ?? '';
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(JSON.parse(text)).toBeTypeOf('object');
    expect(whole.choices[0]?.finish_reason).toBe('stop');
  }
});

test('the same seed gives the same JSON, alone and in a crowd of others', async () => {
  const ask = (seed: number) =>
    client.chat.completions.create({
      ...story,
      seed,
      max_tokens: 60,
      temperature: 1.3,
      logprobs: true,
      response_format: format,
    });
  const alone = await ask(1);
  const crowd = await Promise.all([1, 2, 3, 1, 4].map(ask));
  expect(crowd[0]?.choices).toEqual(alone.choices);
  expect(crowd[3]?.choices).toEqual(alone.choices);
  expect(crowd[1]?.choices).not.toEqual(alone.choices);
});

test('a limit too short for the shortest answer ends with length', async () => {
  const asked = { ...story, seed: 1, max_tokens: 4, response_format: format };
  const { choices } = await client.chat.completions.create(asked);
  expect(choices[0]?.finish_reason).toBe('length');
});

test('a rule of a regular expression, and one of choices', async () => {
  const ask = { model: 'tales', prompt: 'Once upon a time', max_tokens: 30, seed: 2 };
  const rule = (rules: object): object => ({ alignment: { guides: [{ rule: rules }] } });
  const regex = await client.completions.create({
    ...ask,
    ...rule({ regex: 'Tom|Ida [0-9]{2,3}' }),
  });
  expect(regex.choices[0]?.text).toMatch(/^(Tom|Ida [0-9]{2,3})$/);
  const choice = await client.completions.create({ ...ask, ...rule({ choice: ['yes', 'no'] }) });
  expect(['yes', 'no']).toContain(choice.choices[0]?.text);
});

test('a schema that cannot be kept is refused by its field', async () => {
  const schema = { type: 'object', properties: { a: { type: 'string', pattern: '((' } } };
  const bad = client.chat.completions.create({
    ...story,
    response_format: { type: 'json_schema', json_schema: { name: 'bad', schema } },
  });
  await expect(bad).rejects.toThrow(BadRequestError);
  await expect(bad).rejects.toMatchObject({
    param: 'response_format.json_schema.schema.properties.a.pattern',
  });
});
