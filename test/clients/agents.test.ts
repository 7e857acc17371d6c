/** OpenAI's Agents SDK, over the Responses API and over chat, against the real server with the default pack. */

import { Agent, Runner, setTracingDisabled, tool } from '@openai/agents-core';
import type { AgentInputItem, Model } from '@openai/agents-core';
import { OpenAIChatCompletionsModel, OpenAIResponsesModel } from '@openai/agents-openai';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { serve, type Served } from '../support/server.ts';

let server: Served;
let client: OpenAI;

beforeAll(async () => {
  setTracingDisabled(true); // it would tell OpenAI
  server = await serve();
  client = new OpenAI({ baseURL: `${server.base}/v1`, apiKey: 'none', maxRetries: 0 });
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

/** All is short: the story model reads 384 tokens, and JSON takes many. */
const Toy = z.object({ up: z.boolean() });

describe.each<[string, () => Model]>([
  ['responses', () => new OpenAIResponsesModel(client, 'tales')],
  ['chat', () => new OpenAIChatCompletionsModel(client, 'tales')],
])('over %s', (_name, modelOf) => {
  /** An agent that has to look first; the SDK then lets it speak. */
  const seeker = () => {
    const asked: z.output<typeof Toy>[] = [];
    const agent = new Agent({
      name: 'seeker',
      model: modelOf(),
      modelSettings: { toolChoice: 'required', parallelToolCalls: false, maxTokens: 56 },
      tools: [
        tool({
          name: 'look',
          description: 'looks',
          parameters: Toy,
          execute: (toy) => (asked.push(toy), 'up'),
        }),
      ],
    });
    return { agent, asked };
  };
  const calls = (history: readonly AgentInputItem[]) =>
    history.map(({ type }) => type ?? 'message');

  test('an agent calls its tool, is told the result, and answers', async () => {
    const { agent, asked } = seeker();
    const result = await new Runner().run(agent, 'Go on.');
    expect(asked).toHaveLength(1);
    expect(Toy.parse(asked[0])).toBeTruthy();
    expect(calls(result.history)).toEqual([
      'message',
      'function_call',
      'function_call_result',
      'message',
    ]);
    expect(result.finalOutput?.length).toBeGreaterThan(10);
  });

  test('and so it does as it streams', async () => {
    const { agent, asked } = seeker();
    const result = await new Runner().run(agent, 'Go on.', { stream: true });
    let told = '';
    for await (const piece of result.toTextStream()) told += piece;
    await result.completed;
    expect(asked).toHaveLength(1);
    expect(told.length).toBeGreaterThan(10);
    expect(result.finalOutput).toBe(told);
  });
});
