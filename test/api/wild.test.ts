/** Whatever is sent, whole or streamed, over HTTP or a WebSocket: text is the same, and every request gets one ending. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Client, served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const prompt = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });

test('streamed text, whole text and framed text are the same', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  let ids = 0;
  const law = fc.asyncProperty(prompt, fc.nat(20), async (text, extra) => {
    const body = { prompt: text, max_tokens: extra + 1, stop: ['zz'] };
    const whole = (await (await server.post('/v1/completions', body)).json()) as Json;
    const sse = await (await server.post('/v1/completions', { ...body, stream: true })).text();
    const id = `r${ids++}`;
    client.send({ type: 'completion.create', id, ...body });
    await client.until((frames) => frames.some((f) => f['id'] === id && f['type'] === 'done'));
    const chunks = sse
      .split('\n\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)) as Json);
    const frames = client.of(id, 'completion.chunk').map((frame) => frame['data'] as Json);
    const joined = (list: Json[]) => list.map(({ choices }) => choices[0].text as string).join('');
    expect(joined(chunks)).toBe(joined(frames));
    expect(whole['choices'][0].text.replace(/\ufffd+$/, '')).toBe(joined(chunks));
  });
  await fc.assert(law, { numRuns: 60 });
});

test('wild frames get an error or an ending, and the socket lives on', async () => {
  await using server = await served();
  await using client = await new Client(server.port).open();
  const wild = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom('a', '', 'tales', null));
  const frame = fc.record(
    {
      type: fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom('completion.create', 'chat.completion.create') },
        fc.constant('response.cancel'),
        wild,
      ),
      id: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c') }, wild),
      prompt: fc.oneof({ weight: 5, arbitrary: fc.constant('hi') }, wild),
      messages: wild,
      max_tokens: fc.oneof({ weight: 5, arbitrary: fc.constant(2) }, wild),
      stream: wild,
      alignment: wild,
      __proto__: wild,
    },
    { requiredKeys: [] },
  );
  let probes = 0;
  const law = fc.asyncProperty(frame, async (sent) => {
    client.send(sent);
    const id = `probe${probes++}`;
    client.send({ type: 'completion.create', id, prompt: 'x', max_tokens: 1 });
    const before = client.frames.length;
    await client.until((frames) => frames.some((f) => f['id'] === id && f['type'] === 'done'));
    expect(client.frames.length).toBeGreaterThan(before);
  });
  await fc.assert(law, { numRuns: 150 });
  await expect.poll(() => server.inference.running).toBe(0);
  const types = new Set(client.frames.map(({ type }) => type as string));
  expect([...types].toSorted()).toEqual(['completion.chunk', 'done', 'error']);
  const errors = client.frames.filter(({ type }) => type === 'error');
  for (const { error } of errors) expect(error.code).not.toBe('internal_error');
});
