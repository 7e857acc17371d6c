/** What clients of the real server see of a search: frames on a socket as it goes, the whole of it at the end of a stream. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client, type Json } from '../fakes/server.ts';
import { serve, type Served } from '../support/server.ts';

let server: Served;
beforeAll(async () => (server = await serve()), 120_000);
afterAll(async () => void (await server.stop()));

const SEARCH = {
  model: 'tales',
  prompt: 'Once upon a time, there was a boy named Tom. Tom lost his kite.',
  seed: 3,
  max_tokens: 24,
  alignment: {
    explain: true,
    strategy: {
      type: 'best_of_n',
      n: 6,
      prune: { type: 'speculative_rejection', alpha: 0.5, at: [8, 16] },
    },
    rewards: [{ model: 'rm-happy-a' }],
  },
};
const asked = (id: string, fields: object = {}) => ({
  type: 'completion.create',
  id,
  ...SEARCH,
  ...fields,
});
const told = { stream_options: { include_alignment: true, include_usage: true } };
const isOver = (id: string) => (frames: readonly Json[]) =>
  frames.some((frame) => frame['id'] === id && frame['type'] === 'done');
const textOf = (chunks: readonly Json[]): string =>
  chunks.map(({ choices }) => (choices as Json[])[0]?.['text'] ?? '').join('');

/** Chunks of the same search over SSE. */
async function streamed(fields: object): Promise<Json[]> {
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...SEARCH, stream: true, ...fields }),
  });
  const events = (await response.text()).split('\n\n').filter(Boolean);
  expect(events.at(-1)).toBe('data: [DONE]');
  return events.slice(0, -1).map((event) => JSON.parse(event.slice('data: '.length)) as Json);
}

test('a socket shows drafts, scores, who was given up and who was chosen, and then the whole', async () => {
  await using client = await new Client(server.port, '/v1/completions').open();
  client.send(asked('a', told));
  await client.until(isOver('a'));
  const of = (what: string) => client.of('a', `alignment.${what}`).map(({ data }) => data as Json);

  const chunks = client.of('a', 'completion.chunk').map(({ data }) => data as Json);
  const { alignment } = chunks.at(-1)! as { alignment: Json };
  const candidates = alignment['candidates'] as Json[];
  expect(candidates).toHaveLength(6);

  const pruned = candidates.filter(({ status }) => status === 'pruned');
  expect(pruned.map(({ pruned_at }) => pruned_at).toSorted()).toEqual([16, 8, 8, 8]);
  expect(
    of('candidate.pruned')
      .map(({ index }) => index)
      .toSorted(),
  ).toEqual(pruned.map(({ index }) => index).toSorted());
  const chosen = candidates.find(({ status }) => status === 'selected')!;
  expect(of('candidate.selected')).toEqual([
    { choice: 0, index: chosen['index'], score: chosen['score'], tokens: chosen['tokens'] },
  ]);
  const scored = of('candidate.scored');
  expect(scored).toHaveLength(6 + 3 + 2); // at both decisions, and at the end
  expect(scored.filter(({ index }) => index === chosen['index']).at(-1)).toMatchObject({
    score: chosen['score'],
  });

  const drafts = of('draft');
  expect(new Set(drafts.map(({ branch }) => branch)).size).toBe(6);
  const text = textOf(chunks);
  const last = drafts.filter(({ branch }) => branch === chosen['index']).at(-1)!;
  expect(text.startsWith(last['text'] as string)).toBe(true);

  const [tree] = alignment['trees'] as [Json];
  expect(tree).toMatchObject({ choice: 0, nodes: 6, depth: 24 });
  expect((tree['alive'] as number[]).at(-1)).toBe(2);
  expect(alignment['best_of']).toBeUndefined(); // the bound is one of whole answers
  expect((tree['figures'] as Json)['expected_best']).toHaveLength(2);
  const order = client.frames.map(({ type }) => type as string);
  expect(order.lastIndexOf('alignment.draft')).toBeLessThan(
    order.indexOf('alignment.candidate.selected'),
  );
});

test('who did not ask for it sees the answer only, the same', async () => {
  await using client = await new Client(server.port, '/v1/completions').open();
  client.send(asked('told', told));
  client.send(asked('plain'));
  await client.until(isOver('told'));
  await client.until(isOver('plain'));
  const kinds = new Set(client.frames.filter(({ id }) => id === 'plain').map(({ type }) => type));
  expect([...kinds].toSorted()).toEqual(['completion.chunk', 'done']);
  const [one, other] = ['told', 'plain'].map((id) =>
    textOf(client.of(id, 'completion.chunk').map(({ data }) => data as Json)),
  );
  expect(other).toBe(one);
});

test('a stream of events ends with the same report, and holds nothing that could be taken back', async () => {
  await using client = await new Client(server.port, '/v1/completions').open();
  client.send(asked('a', told));
  await client.until(isOver('a'));
  const onSocket = client.of('a', 'completion.chunk').map(({ data }) => data as Json);
  const chunks = await streamed(told);
  expect(textOf(chunks)).toBe(textOf(onSocket));
  const [mine, theirs] = [chunks, onSocket].map((all) => all.at(-1)!['alignment'] as Json);
  expect(mine).toEqual(theirs);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 24 } });
  expect(chunks.slice(0, -1).every((chunk) => (chunk['choices'] as Json[]).length === 1)).toBe(
    true,
  );
  expect((await streamed({})).some((chunk) => 'alignment' in chunk)).toBe(false);
});

test('what the policy says of itself while answers grow is in the report', async () => {
  const prune = { type: 'self_evaluation', at: [8], uncalibrated: true };
  const strategy = { type: 'best_of_n', n: 4, prune };
  const chunks = await streamed({ ...told, alignment: { ...SEARCH.alignment, strategy } });
  const alignment = chunks.at(-1)!['alignment'] as Json;
  const [tree] = alignment['trees'] as [{ figures: Record<string, number[]> }];
  const said = tree.figures['self_evaluation']!;
  expect(said).toHaveLength(4);
  const order = [0, 1, 2, 3].toSorted((a, b) => said[b]! - said[a]!);
  const gone = (alignment['candidates'] as Json[]).filter(({ status }) => status === 'pruned');
  expect(gone.map(({ index }) => index).toSorted()).toEqual(order.slice(2).toSorted());
});

test('the policy says the same of an answer on a fork of its KV and as a reward that reads its text', async () => {
  const self = { uncalibrated: true };
  const adaptive = { self_evaluation: { probability: 1, ...self } };
  const strategy = { type: 'best_of_n', n: 3, adaptive };
  const rewards = [{ self_evaluation: self }];
  const alignment = { explain: true, strategy, rewards };
  const chunks = await streamed({ ...told, max_tokens: 150, temperature: 0.7, alignment });
  const report = chunks.at(-1)!['alignment'] as Json;
  const [tree] = report['trees'] as [{ figures: Record<string, number[]> }];
  const said = tree.figures['self_evaluation']!;
  const candidates = report['candidates'] as { index: number; score: number }[];
  expect(said).toHaveLength(3);
  // A reward reads the text in one go, cut into tokens anew: near, not equal.
  for (const { index, score } of candidates)
    expect(Math.abs(said[index]! - score)).toBeLessThan(0.02);
});
