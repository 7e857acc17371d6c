/** Bad luck, on the real server: clients that leave in any phase, rewards that misbehave, a stop under load. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { honest, json, remote, type Remote } from '../fakes/remote.ts';
import { serve, type Served } from '../support/server.ts';
import { eventually, figure, isIdle } from '../support/watch.ts';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
let server: Served;
let taste: Remote;

beforeAll(async () => {
  taste = await remote();
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    `server: { log: error }
policy: tales
models:
  tales: { path: ${root}/models/tales, role: policy }
  rm-happy-a: { path: ${root}/models/rm-happy-a, role: reward, head: scalar, reads: prefix }
rewards:
  taste: { url: '${taste.url}', reads: prefix, attempt_ms: 60000, timeout_ms: 60000, retries: 0, failures: 1000 }
  hasty: { url: '${taste.url}', attempt_ms: 60000, timeout_ms: 50, retries: 0, failures: 1000 }
engine: { kv_slots: 16, max_seq: 256, iteration_tokens: 16 }
`,
  );
  server = await serve(['--config', config]);
}, 120_000);
afterAll(async () => {
  await server.stop();
  await taste[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});
beforeEach(() => void (taste.answer = honest));

type Body = Readonly<Record<string, unknown>>;
const ENDLESS = { logit_bias: { '0': -100 } };
const LONG: Body = { ...ENDLESS, max_tokens: 200, stream: true };

const post = (body: Body, signal: AbortSignal | null = null): Promise<Response> =>
  fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', prompt: 'One day, Tom', ...body }),
    signal,
  });

const NEIGHBOUR: Body = { ...ENDLESS, max_tokens: 60, seed: 9 };
async function neighbour(): Promise<string> {
  const { choices } = (await (await post(NEIGHBOUR)).json()) as { choices: { text: string }[] };
  return choices[0]!.text;
}

const best = (alignment: Body): Body => ({
  ...LONG,
  alignment: { strategy: { type: 'best_of_n', n: 12, ...alignment }, rewards: [{ http: 'taste' }] },
});
const counts = (name: string, least: number) => async (): Promise<boolean> =>
  (await figure(server.base, name)) >= least;
const asked = () => Promise.resolve(taste.asked.length > 0);

/** What clients ask for, and how it shows that the server is where they are to leave it. */
const PHASES: readonly [name: string, bodies: readonly Body[], there: () => Promise<boolean>][] = [
  ['queued', Array.from({ length: 8 }, () => ({ ...LONG, n: 8 })), counts('requests_waiting', 1)],
  [
    'reading long prompts',
    Array.from({ length: 8 }, (_, i) => ({
      ...LONG,
      max_tokens: 2,
      prompt: `${i} word`.repeat(60),
    })),
    counts('requests_running', 1),
  ],
  ['decoding in groups', [{ ...LONG, n: 16 }], counts('requests_running', 1)],
  ['scoring', [{ ...best({}), max_tokens: 4 }], asked],
  ['pruning', [best({ prune: { type: 'speculative_rejection', alpha: 0.5, at: [4] } })], asked],
];

test.each(PHASES)(
  'clients that leave while %s free all that they held',
  async (_, bodies, there) => {
    const alone = await neighbour();
    taste.asked.length = 0;
    taste.answer = () => undefined; // they wait for it when they leave
    const leave = new AbortController();
    const left = bodies.map((body) => post(body, leave.signal).then((res) => res.text()));
    const beside = neighbour();
    const gone = Promise.allSettled(left);
    expect(await eventually(there)).toBe(true);
    leave.abort();
    for (const result of await gone)
      if (result.status === 'fulfilled') expect(result.value).toContain('[DONE]'); // it was quicker
    expect(await beside).toBe(alone);
    expect(await eventually(() => isIdle(server.base))).toBe(true);
  },
);

const BAD: readonly [name: string, reward: string, answer: (res: ServerResponse) => void][] = [
  ['fails', 'taste', (res) => json(res, {}, 500)],
  ['says what is no score', 'taste', (res) => void res.end('{"scores":["x"]}')],
  ['has no score for any', 'taste', (res) => json(res, { scores: [null, null, null] })],
  ['breaks off', 'taste', (res) => res.destroy()],
  ['never answers', 'hasty', () => undefined],
];

test.each(BAD)(
  'a reward that %s is a clear 502, and nothing is left of the request',
  async (_, name, answer) => {
    taste.answer = answer;
    const strategy = { type: 'best_of_n', n: 3 };
    const ask = { max_tokens: 3, alignment: { strategy, rewards: [{ http: name }] } };
    const response = await post(ask);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'reward_failed' } });
    const both = { ...ask.alignment, rewards: [{ http: name }, { model: 'rm-happy-a' }] };
    expect((await post({ ...ask, alignment: both })).status).toBe(200); // others judge without it
    expect(await eventually(() => isIdle(server.base))).toBe(true);
  },
);

test('why a reward failed is a JSON line of the log, with the id of the request', async () => {
  taste.answer = (res) => json(res, {}, 500);
  const judged = { alignment: { rewards: [{ http: 'taste' }] } };
  const strategy = { type: 'best_of_n', n: 2 };
  const responses = [
    await post({ max_tokens: 3, alignment: { ...judged.alignment, strategy } }),
    await fetch(`${server.base}/v1/score`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ queries: 'a', documents: 'b', ...judged }),
    }),
  ];
  const lines = () =>
    server
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
  for (const response of responses) {
    expect(response.status).toBe(502);
    const request = response.headers.get('x-request-id');
    const line = { level: 'error', request, err: expect.anything() as object };
    await expect.poll(lines).toContainEqual(expect.objectContaining(line));
  }
});

test('told to stop under load, it answers all that it has taken, and takes nothing new', async () => {
  const work = Array.from({ length: 24 }, (_, seed) =>
    post({ ...ENDLESS, max_tokens: 100, seed, n: 1 + (seed % 3), stream: seed % 2 === 0 }),
  );
  const load = async (): Promise<unknown> => await (await fetch(`${server.base}/load`)).json();
  await expect.poll(load).toEqual({ server_load: 24 });
  const exit = server.stop('SIGTERM');
  expect(await eventually(async () => (await fetch(`${server.base}/ready`)).status === 503)).toBe(
    true,
  );
  for (const response of await Promise.all(work)) {
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(/"finish_reason":"length"/);
  }
  expect(await exit).toBe(0);
});
