import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const jsonOf = async (response: Response): Promise<Json> => (await response.json()) as Json;
const ok = { model: 'rm-happy-a', queries: 'Once', documents: ['a', 'bb'] };

test('one query is paired with every document', async () => {
  await using server = await served();
  const answer = await jsonOf(await server.post('/v1/score', ok));
  expect(answer).toMatchObject({
    object: 'list',
    model: 'rm-happy-a',
    data: [
      { index: 0, object: 'score', score: 1, parts: { 'rm-happy-a': 1 } },
      { index: 1, object: 'score', score: 2 },
    ],
  });
  expect(answer['usage'].prompt_tokens).toBeGreaterThan(0);
  expect(answer['id']).toMatch(/^score-/);
});

test('conversations are judged by their last message', async () => {
  await using server = await served();
  const messages = [
    { role: 'user', content: 'Tell me' },
    { role: 'assistant', content: 'abc' },
  ];
  const one = await jsonOf(await server.post('/v1/score', { model: 'rm-late', messages }));
  expect(one['data']).toMatchObject([{ score: 3 }]);
  const two = { model: 'rm-late', messages: [messages, messages] };
  expect((await jsonOf(await server.post('/v1/score', two)))['data']).toHaveLength(2);
});

test('several rewards are combined as in a request that generates', async () => {
  await using server = await served();
  const rewards = [{ model: 'rm-happy-a' }, { model: 'rm-late', weight: 2 }];
  const body = { queries: ['x', 'y'], documents: ['a', 'bb'], alignment: { rewards } };
  const { data, model } = await jsonOf(await server.post('/v1/score', body));
  expect(model).toBe('rm-happy-a+rm-late');
  expect(data[0].parts).toEqual({ 'rm-happy-a': 1, 'rm-late': 1 });
});

test('a text that cannot be judged is null beside those that can', async () => {
  await using server = await served();
  const mixed = await server.post('/v1/score', { ...ok, documents: ['a', '!nan'] });
  expect((await jsonOf(mixed))['data']).toMatchObject([{ score: 1 }, { score: null }]);
  for (const documents of [['!nan'], ['!fail', 'a']]) {
    const response = await server.post('/v1/score', { ...ok, documents });
    expect(response.status).toBe(502);
    expect((await jsonOf(response))['error'].code).toBe('reward_failed');
  }
});

const long = 'x'.repeat(400);
test.each([
  [{ ...ok, model: undefined }, 400, 'model'],
  [{ ...ok, model: 'nope' }, 404, 'model'],
  [{ ...ok, model: 'tales' }, 404, 'model'],
  [{ ...ok, model: 7 }, 400, 'model'],
  [{ ...ok, documents: [] }, 400, 'documents'],
  [{ ...ok, documents: Array(129).fill('a') }, 400, 'documents'],
  [{ ...ok, documents: ['a', 5] }, 400, 'documents[1]'],
  [{ ...ok, documents: ['\ud800'] }, 400, 'documents[0]'],
  [{ ...ok, documents: ['a', long] }, 400, 'documents[1]'],
  [{ ...ok, documents: 'y'.repeat(20_000) }, 400, 'documents'],
  [{ ...ok, queries: ['a', 'b', 'c'] }, 400, 'queries'],
  [{ ...ok, queries: undefined }, 400, 'queries'],
  [{ ...ok, queries: long }, 400, 'queries'],
  [{ ...ok, queries: 'x'.repeat(383) }, 400, 'documents[0]'],
  [{ ...ok, complete: 'no' }, 400, 'complete'],
  [{ ...ok, tokens: 1 }, 400, 'tokens'],
  [{ ...ok, tokens: true }, 400, 'tokens'], // a scalar head knows none
  [
    {
      queries: 'a',
      documents: Array(60).fill('y'.repeat(80)),
      tokens: true,
      alignment: { rewards: [{ likelihood: 'tales' }] },
    },
    400,
    'tokens',
  ],
  [{ model: 'rm-late', messages: [] }, 400, 'messages'],
  [{ model: 'rm-late', messages: [{ role: 'user', content: 'x' }] }, 400, 'messages'],
  [{ model: 'rm-late', messages: [[{ role: 'wizard' }]] }, 400, 'messages[0][0].role'],
  [{ ...ok, alignment: { rewards: [] } }, 400, 'model'],
  [{ ...ok, model: undefined, alignment: { rewards: [] } }, 400, 'alignment.rewards'],
  [{ ...ok, model: undefined, alignment: { guides: [] } }, 400, 'alignment.guides'],
  [
    { ...ok, model: undefined, alignment: { rewards: [{ model: 'nope' }] } },
    404,
    'alignment.rewards[0].model',
  ],
])('%o is refused with %i at %s', async (body, status, param) => {
  await using server = await served();
  const response = await server.post('/v1/score', body);
  expect(response.status).toBe(status);
  expect((await jsonOf(response))['error'].param).toBe(param);
});

test('best_of is planned as best-of-N, and its candidates are told', async () => {
  await using server = await served();
  const body = { model: 'tales', prompt: 'One day', max_tokens: 5, best_of: 4 };
  const { alignment } = await jsonOf(await server.post('/v1/completions', body));
  expect(alignment.strategy).toBe('best_of_n');
  expect(server.inference.plans.at(-1)?.params).toMatchObject({ n: 4, by: 'likelihood' });
  const judged = { ...body, alignment: { rewards: [{ model: 'rm-happy-a' }] } };
  await server.post('/v1/completions', judged);
  expect(server.inference.plans.at(-1)).toMatchObject({
    params: { by: 'reward' },
    reward: { uses: [{ id: 'rm-happy-a' }] },
  });
});

test('usage is what the model reads: the prompt, the answer and its end, one start token', async () => {
  await using server = await served();
  const one = { model: 'rm-happy-a', queries: 'Once', documents: 'abc' };
  // a start token, four bytes, three bytes, an end token
  expect((await jsonOf(await server.post('/v1/score', one)))['usage'].prompt_tokens).toBe(9);
  const unfinished = await server.post('/v1/score', { ...one, complete: false });
  expect((await jsonOf(unfinished))['usage'].prompt_tokens).toBe(8);
  const ranked = await server.post('/v1/rerank', { ...one, query: 'Once', documents: ['abc', ''] });
  expect((await jsonOf(ranked))['usage'].prompt_tokens).toBe(9 + 6);
});

test('the policy whose answers they are may be named: it is who judges itself', async () => {
  await using server = await served();
  const alignment = { rewards: [{ self_evaluation: { uncalibrated: true } }] };
  const asked = async (model?: string) => {
    const body = { model, queries: 'q', documents: 'a', alignment };
    return (await jsonOf(await server.post('/v1/score', body)))['error'] as Json;
  };
  // models of bytes have no token that says yes: the refusal tells who was to be asked
  expect((await asked())['message']).toContain('one token of tales');
  expect((await asked('sums'))['message']).toContain('one token of sums');
  expect((await asked('sums:n'))['message']).toContain('one token of sums');
  expect((await asked('rm-late'))['param']).toBe('model');
  const rewards = [{ length: 'linear' }];
  const named = { model: 'sums', queries: 'q', documents: 'ab', alignment: { rewards } };
  expect(await jsonOf(await server.post('/v1/score', named))).toMatchObject({ model: 'sums' });
});

const hang = { ...ok, documents: ['!hang', 'a'] };

test('a client that leaves ends its judging', async () => {
  await using server = await served();
  const leave = new AbortController();
  const asked = server.post('/v1/rerank', { ...hang, query: 'q' }, { signal: leave.signal });
  await expect.poll(() => server.inference.running).toBe(1);
  leave.abort();
  await expect(asked).rejects.toThrow();
  await expect.poll(() => server.inference.running).toBe(0);
  const page = async () => (await fetch(`${server.base}/metrics`)).text();
  await expect.poll(page).toMatch(/requests_total\{[^}]*rerank[^}]*code="cancelled"[^}]*\} 1/);
});

test('a server that stops cuts judging short, and says so', async () => {
  const server = await served();
  const asked = server.post('/v1/score', hang);
  await expect.poll(() => server.inference.running).toBe(1);
  await server.api.drain(0);
  const response = await asked;
  expect([response.status, (await jsonOf(response))['error'].code]).toEqual([503, 'draining']);
  expect(server.inference.running).toBe(0);
});

test('so many texts are judged or wait; a request with more is let in alone', async () => {
  await using server = await served({ scored_texts: 3 });
  expect((await server.post('/v1/score', { ...ok, documents: ['a', 'b', 'c', 'd'] })).status).toBe(
    200,
  );
  const leave = new AbortController();
  const asked = server.post('/v1/score', hang, { signal: leave.signal });
  await expect.poll(() => server.inference.running).toBe(1);
  expect((await server.post('/v1/score', { ...ok, documents: 'a' })).status).toBe(200);
  const refused = await server.post('/v2/rerank', { ...ok, query: 'q', documents: ['a', 'b'] });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
  expect((await jsonOf(refused))['error'].code).toBe('queue_full');
  leave.abort();
  await expect(asked).rejects.toThrow();
  const again = async () =>
    (await server.post('/v1/score', { ...ok, documents: ['a', 'b'] })).status;
  await expect.poll(again).toBe(200);
});
