/** The whole server as a process: drain, disconnects, a killed inference process, restarts. */

import { expect, test } from 'vitest';
import { serve } from '../support/server.ts';
import { eventually, inferenceOf, isIdle } from '../support/watch.ts';

const NEVER_ENDS = { '0': -100 };

interface Body {
  readonly [field: string]: unknown;
}

const post = (base: string, body: Body, init: RequestInit = {}): Promise<Response> =>
  fetch(`${base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', prompt: 'One day, Tom', ...body }),
    ...init,
  });

test('on SIGTERM it is not ready, finishes what runs, and exits with 0', async () => {
  await using server = await serve();
  const running = await post(server.base, {
    max_tokens: 300,
    logit_bias: NEVER_ENDS,
    stream: true,
  });
  const reader = running.body!.getReader();
  await reader.read();
  const exit = server.stop('SIGTERM');
  expect(await eventually(async () => (await fetch(`${server.base}/ready`)).status === 503)).toBe(
    true,
  );
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read())
    text += Buffer.from(part.value).toString();
  expect(text).toContain('"finish_reason":"length"');
  expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  expect(await exit).toBe(0);
}, 120_000);

test('a reader that leaves frees its slots, and its neighbour’s text is unchanged', async () => {
  await using server = await serve();
  const ask = { max_tokens: 250, logit_bias: NEVER_ENDS, seed: 9 };
  const alone: unknown = await (await post(server.base, ask)).json();
  const leave = new AbortController();
  const leaving = Array.from({ length: 8 }, (_, seed) =>
    post(server.base, { ...ask, seed, n: 4, stream: true }, { signal: leave.signal }),
  );
  const neighbour = post(server.base, ask);
  await Promise.all(leaving.map(async (response) => (await response).body!.getReader().read()));
  leave.abort();
  const beside: unknown = await (await neighbour).json();
  const text = (answer: unknown): string =>
    (answer as { choices: { text: string }[] }).choices[0]!.text;
  expect(text(beside)).toBe(text(alone));
  expect(await eventually(() => isIdle(server.base))).toBe(true);
}, 120_000);

test('a killed inference process fails what ran on it with a clear error, and is started again', async () => {
  await using server = await serve();
  const running = await post(server.base, {
    max_tokens: 350,
    logit_bias: NEVER_ENDS,
    stream: true,
  });
  process.kill(inferenceOf(server.pid)!, 'SIGKILL');
  expect(await running.text()).toContain('"error"');
  expect(await eventually(async () => (await fetch(`${server.base}/ready`)).ok)).toBe(true);
  expect((await post(server.base, { max_tokens: 3 })).status).toBe(200);
}, 120_000);

test('the same seeds give the same bytes after a restart', async () => {
  const answers = async (): Promise<string[]> => {
    await using server = await serve();
    return await Promise.all(
      Array.from({ length: 12 }, async (_, seed) => {
        const guides = seed % 2 === 0 ? [] : [{ model: 'arm-kind', weight: seed / 10 - 0.5 }];
        const ask = { max_tokens: 50, seed, logprobs: 1, alignment: { guides } };
        const { choices } = (await (await post(server.base, ask)).json()) as { choices: unknown };
        return JSON.stringify(choices);
      }),
    );
  };
  expect(await answers()).toEqual(await answers());
}, 120_000);

test('where nobody reads along, it says in JSON lines what it serves and when it is ready', async () => {
  const server = await serve();
  expect(await server.stop()).toBe(0);
  const lines = server
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Body);
  const of = (msg: string): Body | undefined => lines.find((line) => line['msg'] === msg);
  expect(of('listening')).toMatchObject({
    url: server.base,
    device: 'cpu',
    models: { policy: expect.arrayContaining(['tales']) as string[] },
    keys: 0,
  });
  expect(of('ready')?.['resident_bytes']).toBeGreaterThan(1e6);
  expect(of('stopping')).toMatchObject({ drain_ms: 30_000 });
}, 120_000);
