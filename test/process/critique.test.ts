/**
 * Judges that write before they score, on the default pack's models: over HTTP, repeated to the bit whatever else is served,
 * and with every row of the policy held by searches that wait for critiques.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TALES } from '../fakes/models.ts';
import { serve, type Served } from '../support/server.ts';

let server: Served;
const folder = mkdtempSync(join(tmpdir(), 'coxswain-critique-'));

beforeAll(async () => {
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `policy: tales
models:
  tales: { path: ${TALES}, role: policy, critique_rows: 2 }
  mute: { path: ${TALES}, role: policy }
engine: { kv_slots: 4, reward_bytes: 0 }
`,
  );
  server = await serve(['--config', file]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

const judge = (critique: object | null, changes: object = {}) => ({
  judge: 'tales',
  question: 'Is this a happy story?',
  ...(critique ? { critique: { question: 'What is the story about?', ...critique } } : {}),
  ...changes,
});
const GREEDY = { max_tokens: 12 };
const DRAWN = { max_tokens: 12, n: 2, seed: 4 };

async function post<T>(path: string, body: object, signal?: AbortSignal): Promise<T> {
  const response = await fetch(`${server.base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return (await response.json()) as T;
}

const STORIES = [
  ' Ida helped him look. They found it, and Tom was so happy.',
  ' Ida laughed at him. Tom was very sad, and cried.',
  ' It rained.',
];

interface Scored {
  readonly data: readonly { readonly score: number }[];
  readonly error?: { readonly message: string; readonly param: string };
}
const scored = (reward: object, documents: readonly string[] = STORIES): Promise<Scored> =>
  post('/v1/score', {
    queries: 'Tom had lost his ball.',
    documents,
    alignment: { rewards: [reward] },
  });
const scores = async (...asked: Parameters<typeof scored>): Promise<number[]> =>
  (await scored(...asked)).data.map(({ score }) => score);

interface Answer {
  readonly choices: readonly { readonly text: string }[];
  readonly alignment: {
    readonly candidates: readonly { readonly score: number }[];
    readonly failed_rewards?: readonly unknown[];
  };
}
const search = (seed: number, signal?: AbortSignal): Promise<Answer> =>
  post(
    '/v1/completions',
    {
      prompt: 'One day',
      max_tokens: 16,
      seed,
      alignment: { strategy: { type: 'best_of_n', n: 4 }, rewards: [judge(DRAWN)] },
    },
    signal,
  );
const outcome = ({ choices, alignment: { candidates, failed_rewards } }: Answer) => ({
  text: choices[0]!.text,
  scores: candidates.map(({ score }) => score),
  failed: failed_rewards ?? [],
});

test('a critique changes what the judge says, its seed which critique it is', async () => {
  const plain = await scores(judge(null));
  const greedy = await scores(judge(GREEDY));
  const drawn = await scores(judge(DRAWN));
  for (const all of [plain, greedy, drawn])
    for (const score of all) {
      expect(score).toBeGreaterThan(0);
      expect(score).toBeLessThan(1);
    }
  expect(greedy).not.toEqual(plain);
  expect(drawn).not.toEqual(greedy);
  expect(await scores(judge({ ...DRAWN, seed: 5 }))).not.toEqual(drawn);
});

test('scores are the same alone, one by one and in traffic', async () => {
  const reward = judge(DRAWN);
  const all = await scores(reward);
  for (const [i, story] of STORIES.entries())
    expect(await scores(reward, [story])).toEqual([all[i]]);
  const traffic = [1, 2, 3].map((seed) => search(seed));
  expect(await scores(reward)).toEqual(all);
  expect(await scores(reward, STORIES.toReversed())).toEqual(all.toReversed());
  await Promise.all(traffic);
});

test('searches that hold every row and wait for critiques end, each as it does alone', async () => {
  const seeds = [1, 2, 3, 4];
  const together = await Promise.all(seeds.map((seed) => search(seed)));
  for (const [i, seed] of seeds.entries()) {
    const alone = outcome(await search(seed));
    expect(alone.failed).toEqual([]);
    expect(alone.scores).toHaveLength(4);
    expect(outcome(together[i]!)).toEqual(alone);
  }
}, 120_000);

test('whoever leaves while critiques are written holds nobody up', async () => {
  const abort = new AbortController();
  const leaving = [5, 6, 7].map((seed) => search(seed, abort.signal).catch(() => null));
  setTimeout(() => abort.abort(), 150);
  await Promise.all(leaving);
  expect(outcome(await search(1)).failed).toEqual([]);
}, 120_000);

test('a model without rows to write in is refused by name', async () => {
  const { error } = await scored(judge(GREEDY, { judge: 'mute' }));
  expect(error!.param).toBe('alignment.rewards[0].critique');
  expect(error!.message).toContain('mute has no KV rows');
  expect(error!.message).toMatch(/: tales$/);
});
