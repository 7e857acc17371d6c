import { expect, test } from 'vitest';
import { served } from '../fakes/server.ts';
import type { Json } from '../fakes/server.ts';

const jsonOf = async (response: Response): Promise<Json> => (await response.json()) as Json;
const ok = { model: 'rm-happy-a', query: 'Once', documents: ['a', 'ccc', { text: 'bb' }] };

test('documents come sorted, with their text where vLLM and Jina have it', async () => {
  await using server = await served();
  for (const path of ['/v1/rerank', '/rerank']) {
    const answer = await jsonOf(await server.post(path, ok));
    expect(answer).toMatchObject({
      model: 'rm-happy-a',
      usage: { total_tokens: expect.any(Number) as number },
    });
    expect(answer['id']).toMatch(/^rerank-/);
    expect(answer['results']).toEqual([
      { index: 1, relevance_score: 3, document: { text: 'ccc' } },
      { index: 2, relevance_score: 2, document: { text: 'bb' } },
      { index: 0, relevance_score: 1, document: { text: 'a' } },
    ]);
  }
});

test('Cohere’s results name no documents, unless asked to', async () => {
  await using server = await served();
  const { results } = await jsonOf(await server.post('/v2/rerank', { ...ok, top_n: 1 }));
  expect(results).toEqual([{ index: 1, relevance_score: 3 }]);
  const told = await server.post('/v2/rerank', { ...ok, top_n: 1, return_documents: true });
  expect((await jsonOf(told))['results'][0].document).toEqual({ text: 'ccc' });
  const bare = await server.post('/rerank', { ...ok, return_documents: false });
  expect((await jsonOf(bare))['results'][0]).toEqual({ index: 1, relevance_score: 3 });
});

test('what cannot be judged is named, and ranked nowhere', async () => {
  await using server = await served();
  const answer = await jsonOf(await server.post('/rerank', { ...ok, documents: ['!nan', 'a'] }));
  expect(answer['results'].map(({ index }: Json) => index as number)).toEqual([1]);
  expect(answer['unjudged']).toEqual([0]);
});

test('several rewards rank together', async () => {
  await using server = await served();
  const alignment = { rewards: [{ model: 'rm-happy-a' }, { length: 'over', weight: 0.1 }] };
  const body = { query: 'q', documents: ['a', 'bb'], alignment };
  const answer = await jsonOf(await server.post('/v1/rerank', body));
  expect(answer['model']).toBe('rm-happy-a+length');
  expect(answer['results']).toHaveLength(2);
});

test.each([
  [{ ...ok, query: undefined }, 400, 'query'],
  [{ ...ok, query: ['a'] }, 400, 'query'],
  [{ ...ok, query: '\ud800' }, 400, 'query'],
  [{ ...ok, documents: 'a' }, 400, 'documents'],
  [{ ...ok, documents: [] }, 400, 'documents'],
  [{ ...ok, documents: ['a', { title: 'x' }] }, 400, 'documents[1]'],
  [{ ...ok, documents: Array(129).fill('a') }, 400, 'documents'],
  [{ ...ok, top_n: 0 }, 400, 'top_n'],
  [{ ...ok, model: 'nope' }, 404, 'model'],
  [{ ...ok, model: undefined }, 400, 'model'],
])('%o is refused with %i at %s', async (body, status, param) => {
  await using server = await served();
  const response = await server.post('/v1/rerank', body);
  expect(response.status).toBe(status);
  expect((await jsonOf(response))['error'].param).toBe(param);
});

test('steps are asked for by the request, or by a member', async () => {
  await using server = await served();
  const body = { model: 'rm-happy-a', queries: 'q', documents: ['a\nb'], steps: { until: ['\n'] } };
  expect((await server.post('/v1/score', body)).status).toBe(200);
  const late = await server.post('/v1/score', { ...body, model: 'rm-late' });
  expect(late.status).toBe(400);
});
