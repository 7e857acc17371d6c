/** Tool calls with the official OpenAI SDK, against the real server with the default pack. */

import OpenAI from 'openai';
import { zodFunction, zodResponsesFunction } from 'openai/helpers/zod';
import { ResponsesWS } from 'openai/resources/responses/ws';
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

const Toy = z.object({ toy: z.enum(['kite', 'boat']), many: z.int().min(1).max(9) });
const find = zodFunction({ name: 'find_toy', parameters: Toy });
const story = {
  model: 'tales',
  messages: [{ role: 'user' as const, content: 'Emma lost her kite.' }],
  tools: [find],
};

test('a required call is one, whole and streamed', async () => {
  const ask = { ...story, tool_choice: 'required' as const, seed: 3, max_tokens: 90 };
  const whole = await client.chat.completions.parse({ ...ask, parallel_tool_calls: false });
  const [choice] = whole.choices;
  expect(choice).toMatchObject({ finish_reason: 'tool_calls', message: { content: null } });
  const [call, more] = choice?.message.tool_calls ?? [];
  expect(more).toBeUndefined();
  expect(call?.function.name).toBe('find_toy');
  expect(Toy.parse(call?.function.parsed_arguments)).toBeTruthy();

  const stream = client.chat.completions.stream({ ...ask, parallel_tool_calls: false });
  const told: string[] = [];
  stream.on('tool_calls.function.arguments.delta', (event) => told.push(event.arguments_delta));
  const final = await stream.finalChatCompletion();
  const streamed = final.choices[0]?.message.tool_calls?.[0];
  expect(streamed?.type === 'function' && streamed.function.arguments).toBe(
    call?.function.arguments,
  );
  expect(told.length).toBeGreaterThan(1);
  expect(told.join('')).toBe(call?.function.arguments);
  expect(final.choices[0]?.finish_reason).toBe('tool_calls');
});

test('runTools calls the function that is named, with arguments it can use', async () => {
  const asked: z.output<typeof Toy>[] = [];
  const runner = client.chat.completions.runTools({
    ...story,
    seed: 4,
    max_tokens: 90,
    tool_choice: { type: 'function', function: { name: 'find_toy' } },
    tools: [
      zodFunction({
        name: 'find_toy',
        parameters: Toy,
        function: (toy) => (asked.push(toy), 'It is up a tree.'),
      }),
    ],
  });
  await runner.done();
  expect(asked).toHaveLength(1);
  expect(runner.messages.at(-1)).toMatchObject({ role: 'tool', content: 'It is up a tree.' });
});

test('auto lets the model choose: these models tell a story; the conversation goes on after a call', async () => {
  const call = { name: 'find_toy', arguments: '{"toy":"kite","many":1}' };
  const messages = [
    ...story.messages,
    {
      role: 'assistant' as const,
      tool_calls: [{ id: 'call_1', type: 'function' as const, function: call }],
    },
    { role: 'tool' as const, tool_call_id: 'call_1', content: 'up a tree' },
  ];
  const ask = { ...story, messages, seed: 5, max_tokens: 30 };
  const answer = await client.chat.completions.create(ask);
  const [choice] = answer.choices;
  expect(['stop', 'length']).toContain(choice?.finish_reason);
  expect(choice?.message.tool_calls).toBeUndefined();
  expect(choice?.message.content?.length).toBeGreaterThan(10);
  let streamed = '';
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
    streamed += chunk.choices[0]?.delta.content ?? '';
  expect(streamed).toBe(choice?.message.content);
});

const asking = {
  model: 'tales',
  input: 'Emma lost her kite.',
  tools: [zodResponsesFunction({ name: 'find_toy', parameters: Toy })],
  tool_choice: { type: 'function' as const, name: 'find_toy' },
  max_output_tokens: 90,
};

test('the Responses API calls too: parsed, streamed by the helper, and gone on from with the result', async () => {
  const seeded: typeof asking = Object.assign({ seed: 3 }, asking);
  const whole = await client.responses.parse(seeded);
  const [call, more] = whole.output;
  expect(more).toBeUndefined();
  if (call?.type !== 'function_call') throw new Error(`it is a ${call?.type}`);
  expect(Toy.parse(call.parsed_arguments)).toBeTruthy();
  expect([call.name, call.status, whole.status]).toEqual(['find_toy', 'completed', 'completed']);

  const stream = client.responses.stream(seeded);
  const told: string[] = [];
  stream.on('response.function_call_arguments.delta', ({ delta }) => told.push(delta));
  const final = await stream.finalResponse();
  expect(told.length).toBeGreaterThan(1);
  expect(final.output).toMatchObject([{ type: 'function_call', arguments: call.arguments }]);
  expect(told.join('')).toBe(call.arguments);

  const next = await client.responses.create({
    model: 'tales',
    previous_response_id: whole.id,
    input: [{ type: 'function_call_output', call_id: call.call_id, output: 'up a tree' }],
    tools: asking.tools,
    max_output_tokens: 20,
  });
  expect(next.output_text.length).toBeGreaterThan(10);
  const again = await client.responses.create({
    model: 'tales',
    input: [
      { role: 'user', content: asking.input },
      call,
      { type: 'function_call_output', call_id: call.call_id, output: 'up a tree' },
    ],
    tools: asking.tools,
    max_output_tokens: 20,
  });
  expect(again.usage?.input_tokens).toBe(next.usage?.input_tokens);
});

test('the Responses WebSocket calls too', async () => {
  const ws = new ResponsesWS(client);
  try {
    let args = '';
    ws.send({ type: 'response.create', ...asking });
    for await (const event of ws.stream()) {
      if (event.type === 'error') throw event.error;
      if (event.type !== 'message') continue;
      const { message } = event;
      if (message.type === 'response.function_call_arguments.delta') args += message.delta;
      if (message.type !== 'response.completed') continue;
      expect(message.response.output).toMatchObject([{ type: 'function_call', arguments: args }]);
      break;
    }
    expect(Toy.parse(JSON.parse(args))).toBeTruthy();
  } finally {
    ws.close();
  }
});
