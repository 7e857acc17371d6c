/** What a busy server is asked: every strategy, guides, rewards, structured output, judging, over HTTP, SSE and WebSocket; clients that leave, and errors. */

import { once } from 'node:events';
import { Agent } from 'node:http';
import { WebSocket } from 'ws';
import { caseOf, ENDPOINTS } from '../fuzz/bodies.ts';
import type { Chance } from '../fuzz/chance.ts';
import { exchange } from '../fuzz/exchange.ts';

type Body = Readonly<Record<string, unknown>>;

const HAPPY = [{ model: 'rm-happy-a' }];
const FORMAT = {
  type: 'json_schema',
  json_schema: {
    name: 'toy',
    schema: { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
  },
};

/** One of each strategy, small enough that all pass within seconds. */
const STRATEGIES: readonly Body[] = [
  { strategy: { type: 'sample' } },
  { strategy: { type: 'best_of_n', n: 6 }, rewards: HAPPY },
  {
    strategy: {
      type: 'best_of_n',
      n: 8,
      prune: { type: 'speculative_rejection', alpha: 0.5, at: [8, 16] },
    },
    rewards: HAPPY,
  },
  { strategy: { type: 'best_of_n', n: 4, by: 'likelihood' } },
  { strategy: { type: 'beam', width: 4 } },
  {
    strategy: { type: 'segment_beam', width: 2, expand: 2, segment: { tokens: 8 } },
    rewards: HAPPY,
  },
  { strategy: { type: 'segment_rejection', target: 0, attempts: 3 }, rewards: HAPPY },
  { strategy: { type: 'args', top_k: 4, weight: 1 }, rewards: HAPPY },
  { strategy: { type: 'particles', n: 4, every: 8 }, rewards: HAPPY },
  { strategy: { type: 'mcts', branch: 2, iterations: 4 }, rewards: HAPPY },
  { strategy: { type: 'vote', n: 5 } },
];
const GUIDES: readonly (readonly Body[])[] = [
  [],
  [],
  [{ model: 'arm-happy', weight: 0.5 }],
  [{ plus: 'arm-kind', minus: 'tales', weight: -0.3 }],
  [
    { model: 'arm-happy', weight: 0.5 },
    { model: 'arm-kind', weight: 0.5 },
  ],
];

/** How a request goes, by its name in the counts. */
type Way = (base: string, chance: Chance) => Promise<string>;

function completion(chance: Chance, more: Body = {}): Body {
  const alignment = { ...chance.pick(STRATEGIES), guides: chance.pick(GUIDES) };
  const plain = chance.is(0.1);
  return {
    model: 'tales',
    prompt: `One day, ${chance.pick(['Tom', 'Lily', 'Ida', 'Ben'])} found ${chance.integer(2, 5000)} shells.`,
    max_tokens: chance.integer(8, 48),
    seed: chance.integer(0, 1_000_000),
    ...(plain ? { response_format: FORMAT } : {}),
    alignment,
    ...more,
  };
}

const post = (base: string, path: string, body: Body, init: RequestInit = {}): Promise<Response> =>
  fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...init,
  });

async function answered(response: Promise<Response>): Promise<string> {
  const { status } = await response;
  return told(status, await (await response).text());
}

const told = (status: number, text: string): string =>
  text.includes('"code":"internal_error"') ? 'internal_error' : `${status}`;

/** Reads a piece and leaves. */
async function leaving(base: string, chance: Chance): Promise<string> {
  const controller = new AbortController();
  const body = completion(chance, { stream: true, max_tokens: 80, n: chance.integer(1, 2) });
  setTimeout(() => controller.abort(), chance.integer(0, 60));
  try {
    return await answered(post(base, '/v1/completions', body, { signal: controller.signal }));
  } catch {
    return 'left';
  }
}

/** Three requests on one socket, one of them cancelled. */
async function onSocket(base: string, chance: Chance): Promise<string> {
  const ws = new WebSocket(`${base.replace('http', 'ws')}/v1/completions`);
  await once(ws, 'open');
  const over = new Set<string>();
  let code = 'done';
  ws.on('message', (data: Buffer) => {
    const { type, id, error } = JSON.parse(data.toString()) as Record<string, unknown>;
    if (type === 'error') ({ code } = error as { code: string });
    if (type === 'error' || type === 'done') over.add(String(id));
    if (over.size === 3) ws.close();
  });
  for (const id of ['a', 'b', 'c'])
    ws.send(JSON.stringify({ type: 'completion.create', id, ...completion(chance) }));
  setTimeout(() => {
    if (ws.readyState === ws.OPEN && !over.has('c'))
      ws.send(JSON.stringify({ type: 'response.cancel', id: 'c' }));
  }, 50);
  await once(ws, 'close');
  return over.size === 3 ? code : 'closed early';
}

const agent = new Agent({ keepAlive: true });
const DEADLINE_MS = 120_000;

/** What the fuzz suite sends, spoilt or not, as it sends it: `fetch` refuses to send some of it (an `expect` header). */
async function hostile(base: string, chance: Chance): Promise<string> {
  const path = chance.pick(ENDPOINTS);
  const { status, text } = await exchange(base + path, caseOf(path, chance), agent, DEADLINE_MS);
  return told(status, text);
}

const judged: Body = { model: 'rm-kind-a', documents: [' Tom laughed.', ' Tom cried.'] };
const asks = [{ role: 'user', content: 'Tell me a story about a girl named Emma.' }];

export const WAYS: Readonly<Record<string, Way>> = {
  whole: (base, chance) => answered(post(base, '/v1/completions', completion(chance))),
  sse: (base, chance) =>
    answered(post(base, '/v1/completions', completion(chance, { stream: true }))),
  chat: (base, chance) =>
    answered(
      post(base, '/v1/chat/completions', {
        messages: asks,
        max_tokens: 24,
        stream: chance.is(0.5),
      }),
    ),
  responses: (base, chance) =>
    answered(
      post(base, '/v1/responses', {
        input: 'Hello',
        max_output_tokens: 16,
        stream: chance.is(0.5),
      }),
    ),
  websocket: onSocket,
  leaving,
  hostile,
  score: (base) => answered(post(base, '/v1/score', { ...judged, queries: 'Once' })),
  rerank: (base) => answered(post(base, '/rerank', { ...judged, query: 'Once' })),
};
