import { expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';
import type { Json, Served } from '../fakes/server.ts';

const tool = (name: string) => ({ type: 'function', name, parameters: { type: 'object' } });
const spelled = (name: string, args: string) =>
  `<tool_call>\n{"name": "${name}", "arguments": ${args}}\n</tool_call>`;
const CALLS = `${spelled('f', '{"a":"}"}')}\n${spelled('g', '{}')}`;
/** The fake answers with what stands first in its prompt. */
const saying = (answer: string, fields: object = {}) => ({
  instructions: `${answer}!STOP`,
  stop: '!STOP',
  input: 'x',
  tools: [{ type: 'function', name: 'f' }], // the context is short
  ...fields,
});

const create = async (server: Served, body: object): Promise<Json> => {
  const response = await server.post('/v1/responses', body);
  const json = (await response.json()) as Json;
  expect(response.status, JSON.stringify(json)).toBe(200);
  return json;
};
const streamed = async (server: Served, body: object): Promise<Json[]> => {
  const text = await (await server.post('/v1/responses', { ...body, stream: true })).text();
  return [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '') as Json);
};

test('calls are items, each with an id to answer it by', async () => {
  await using server = await served();
  const response = await create(server, saying(CALLS, { tool_choice: 'required' }));
  const suffix = (response['id'] as string).slice('resp_'.length);
  const call = { type: 'function_call', status: 'completed' };
  expect(response['output']).toEqual([
    {
      ...call,
      id: `fc_${suffix}_0`,
      call_id: `call_${suffix}_0_0`,
      name: 'f',
      arguments: '{"a":"}"}',
    },
    { ...call, id: `fc_${suffix}_1`, call_id: `call_${suffix}_0_1`, name: 'g', arguments: '{}' },
  ]);
  expect(response).toMatchObject({ tool_choice: 'required', tools: [{ name: 'f' }] });
});

test('calls stream as OpenAI’s events, item by item, and end as the whole response has them', async () => {
  await using server = await served();
  const events = await streamed(server, saying(CALLS));
  expect(events.map((event) => event['sequence_number'] as number)).toEqual([...events.keys()]);
  const steps = events
    .filter(({ type }, i) => type !== events[i - 1]?.['type'])
    .map(({ type, output_index: at }) => `${type}${at === undefined ? '' : ` ${at}`}`);
  const call = (at: number) =>
    [
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
    ].map((type) => `response.${type} ${at}`);
  expect(steps).toEqual([
    'response.created',
    'response.in_progress',
    ...call(0),
    ...call(1),
    'response.completed',
  ]);
  const last = events.at(-1)?.['response'] as Json;
  const done = events.filter(({ type }) => type === 'response.output_item.done');
  expect(done.map(({ item }) => item as Json)).toEqual(last['output']);
  for (const [at, item] of (last['output'] as Json[]).entries()) {
    const of = (type: string) =>
      events.filter((event) => event['type'] === type && event['output_index'] === at);
    const deltas = of('response.function_call_arguments.delta');
    expect(deltas.map(({ delta }) => delta as string).join('')).toBe(item['arguments']);
    expect(new Set(deltas.map(({ item_id: id }) => id as string))).toEqual(new Set([item['id']]));
    expect(of('response.function_call_arguments.done')).toMatchObject([
      { name: item['name'], arguments: item['arguments'], item_id: item['id'] },
    ]);
    expect(of('response.output_item.added')).toMatchObject([
      { item: { status: 'in_progress', arguments: '', call_id: item['call_id'] } },
    ]);
  }
});

test('a socket tells them too', async () => {
  await using server = await served();
  await using client = await new Client(server.port, '/v1/responses').open();
  client.send({ type: 'response.create', stream_id: 's', ...saying(CALLS) });
  await client.until((frames) => frames.at(-1)?.['type'] === 'response.completed');
  const { response } = client.frames.at(-1)!;
  expect((response as Json)['output'].map(({ name }: Json) => name as string)).toEqual(['f', 'g']);
});

test('where tools are offered and none is called, the answer is a message, whatever it begins with', async () => {
  await using server = await served();
  for (const answer of ['abc', '<tool', '']) {
    const body = saying(answer, { include: ['message.output_text.logprobs'] });
    const whole = await create(server, body);
    const events = await streamed(server, body);
    const { output } = events.at(-1)!['response'] as Json;
    for (const [item] of [whole['output'], output] as Json[][])
      expect(item).toMatchObject({ type: 'message', content: [{ text: answer }] });
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    expect(deltas.map(({ delta }) => delta as string).join('')).toBe(answer);
    const logprobs = deltas.flatMap((event) => event['logprobs'] as Json[]);
    expect(logprobs).toEqual(output[0].content[0].logprobs);
  }
});

test('a call that is cut short is incomplete, as its response is', async () => {
  await using server = await served();
  const body = { ...saying(CALLS), max_output_tokens: CALLS.indexOf('}"') };
  const whole = await create(server, body);
  expect(whole).toMatchObject({
    status: 'incomplete',
    output: [{ type: 'function_call', status: 'incomplete', name: 'f', arguments: '{"a":"' }],
  });
  const events = await streamed(server, body);
  expect(events.slice(-3)).toMatchObject([
    { type: 'response.function_call_arguments.done', arguments: '{"a":"' },
    { type: 'response.output_item.done', item: { status: 'incomplete' } },
    { type: 'response.incomplete', response: { output: [{ arguments: '{"a":"' }] } },
  ]);
});

test('a result goes on from the response that called, which stands in the conversation as it was written', async () => {
  await using server = await served();
  const first = await create(server, saying(CALLS));
  const [call, other] = first['output'] as Json[];
  const result = (of: Json | undefined, output: string) => ({
    type: 'function_call_output',
    call_id: of?.['call_id'] as string,
    output,
  });
  const results = [result(call, 'one'), result(other, 'two')];
  await create(server, {
    previous_response_id: first['id'] as string,
    input: results,
    max_output_tokens: 1,
  });
  const told = (text: string) => `<tool_response>\n${text}\n</tool_response>`;
  const said = server.inference.plans.at(-1)?.prompts[0]?.text;
  expect(said).toBe(['x', CALLS, told('one'), told('two')].join('\n'));
  // given again as items, it is the same conversation
  const items = [{ role: 'user', content: 'x' }, call, other, ...results];
  await create(server, { input: items, max_output_tokens: 1 });
  expect(server.inference.plans.at(-1)?.prompts[0]?.messages).toEqual(
    server.inference.plans.at(-2)?.prompts[0]?.messages,
  );
  const reference = [{ type: 'item_reference', id: other?.['id'] as string }, results[1]];
  await create(server, { input: reference, max_output_tokens: 1 });
  expect(server.inference.plans.at(-1)?.prompts[0]?.text).toBe(
    [spelled('g', '{}'), told('two')].join('\n'),
  );
});

test('one call or several, by parallel_tool_calls; a named function alone', async () => {
  await using server = await served();
  const ruleOf = async (fields: object) => {
    await create(server, {
      input: 'x',
      tools: [tool('f'), tool('g')],
      max_output_tokens: 60,
      ...fields,
    });
    return server.inference.plans.at(-1)?.opening.rule;
  };
  const many = await ruleOf({ tool_choice: 'required' });
  const one = await ruleOf({ tool_choice: 'required', parallel_tool_calls: false });
  const named = await ruleOf({ tool_choice: { type: 'function', name: 'g' } });
  expect(many).not.toBeNull();
  expect(JSON.stringify(one)).not.toBe(JSON.stringify(many));
  expect(JSON.stringify(named)).not.toBe(JSON.stringify(one));
  expect(await ruleOf({ tool_choice: 'none' })).toBeNull();
});

test.each([
  [{ tools: [{ type: 'web_search' }] }, 'tools[0].type'],
  [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools[0].name'],
  [{ tools: [tool('f'), tool('f')] }, 'tools[1].name'],
  [{ tools: [{ ...tool('f'), parameters: { type: 'string' } }] }, 'tools[0].parameters.type'],
  [{ tools: [tool('f')], tool_choice: { type: 'function', name: 'h' } }, 'tool_choice.name'],
  [{ tools: [tool('f')], tool_choice: { type: 'file_search' } }, 'tool_choice'],
  [{ tool_choice: 'required' }, 'tool_choice'],
])('%j is refused at %s', async (fields, param) => {
  await using server = await served();
  const response = await server.post('/v1/responses', { input: 'x', ...fields });
  expect([response.status, ((await response.json()) as Json)['error'].param]).toEqual([400, param]);
});
