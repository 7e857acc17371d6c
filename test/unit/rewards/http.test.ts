import { gzipSync } from 'node:zlib';
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import type { Reward } from '../../../src/core/reward.ts';
import { SlowReward, timed } from '../../../src/rewards/timed.ts';
import { asking, honest, json, remote } from '../../fakes/remote.ts';
import { candidate } from '../../fakes/reward.ts';

afterEach(() => void vi.useRealTimers());

const texts = (...all: string[]) => all.map((text) => candidate(text, { prompt: 'P' }));
const values = async (reward: Reward, ...all: string[]): Promise<number[]> =>
  (await reward.score(texts(...all))).map(({ value }) => value);

test('a batch goes out with its prompts and comes back as scores, in order', async () => {
  await using server = await remote();
  const reward = asking(server.url, { headers: { authorization: 'Bearer s' } });
  const messages = [{ role: 'user', content: 'P' }] as const;
  const batch = [...texts('a', 'bbb'), candidate('cc', { messages, complete: false })];
  expect((await reward.score(batch)).map(({ value }) => value)).toEqual([1, 3, 2]);
  const [asked] = server.asked;
  expect(asked?.headers).toMatchObject({ authorization: 'Bearer s' });
  expect(asked?.items).toEqual([
    { prompt: 'P', text: 'a', complete: true },
    { prompt: 'P', text: 'bbb', complete: true },
    { prompt: '', messages, text: 'cc', complete: false },
  ]);
});

test('calls hold at most a batch, and at most their bytes', async () => {
  await using server = await remote();
  const reward = asking(server.url, { batch: 2, requestBytes: 250 });
  const long = 'x'.repeat(150);
  const found = await values(reward, 'a', 'b', 'c', long, 'y'.repeat(500), '\u{1F600}');
  expect(found).toEqual([1, 1, 1, 150, NaN, 2]);
  for (const { items, bytes } of server.asked) {
    expect(items.length).toBeLessThanOrEqual(2);
    expect(bytes).toBeLessThanOrEqual(250);
  }
});

test('null is a text that it cannot judge', async () => {
  await using server = await remote((res) => json(res, { scores: [null, 2] }));
  expect(await values(asking(server.url), 'a', 'b')).toEqual([NaN, 2]);
});

const bad: [name: string, answer: (res: ServerResponse) => void][] = [
  ['too few scores', (res) => json(res, { scores: [1] })],
  ['too many scores', (res) => json(res, { scores: [1, 2, 3] })],
  ['scores that are no numbers', (res) => json(res, { scores: ['1', 2] })],
  ['an infinite score', (res) => void res.end('{"scores": [1e999, 2]}')],
  ['fields beside the scores', (res) => json(res, { scores: [1, 2], url: 'http://elsewhere' })],
  ['no object', (res) => json(res, [1, 2])],
  ['garbage', (res) => void res.end('\u0000<html>')],
  ['nothing', (res) => void res.end()],
  ['an error status', (res) => json(res, { scores: [1, 2] }, 400)],
  ['another success status', (res) => json(res, { scores: [1, 2] }, 201)],
  [
    'a redirect',
    (res) => void res.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' }).end(),
  ],
  ['more bytes than allowed', (res) => void res.end(`{"scores": [1, 2]}${' '.repeat(5000)}`)],
  [
    'more bytes than it says, once unpacked',
    (res) =>
      void res
        .writeHead(200, { 'content-encoding': 'gzip' })
        .end(gzipSync(`{"scores": [1, 2]}${' '.repeat(1 << 20)}`)),
  ],
  [
    'an end in the middle',
    (res) => {
      res.writeHead(200, { 'content-length': '100' });
      res.write('{"scores": [1');
      setImmediate(() => res.destroy());
    },
  ],
];

test.each(bad)('an answer with %s is none, and the reward goes on', async (_, answer) => {
  await using server = await remote(answer);
  const reward = asking(server.url, { inFlight: 1 });
  await expect(values(reward, 'a', 'b')).rejects.toThrow();
  server.answer = honest;
  expect(await values(reward, 'a', 'b')).toEqual([1, 1]);
});

test('an endless answer is cut where its bytes end', async () => {
  let closed = (): void => undefined;
  const gone = new Promise<void>((resolve) => (closed = resolve));
  await using server = await remote((res) => {
    const pour = (): void => {
      while (!res.destroyed && res.write('x'.repeat(1024)));
    };
    res.on('drain', pour).on('close', closed);
    pour();
  });
  await expect(values(asking(server.url), 'a')).rejects.toThrow('longer than 4096 bytes');
  await gone;
});

test('a server that hangs is given up on, before or within its answer', async () => {
  await using server = await remote((res, _asked, call) => {
    if (call > 0) res.write('{"sco');
  });
  const reward = asking(server.url, { timeoutMs: 50 });
  await expect(values(reward, 'a')).rejects.toThrow('in time');
  await expect(values(reward, 'a')).rejects.toThrow('in time');
});

test('nobody waits longer for a member than its own time', async () => {
  await using server = await remote(() => undefined);
  const reward = timed(asking(server.url), 50);
  await expect(values(reward, 'a')).rejects.toBeInstanceOf(SlowReward);
});

test('a call that nobody waits for any more is ended: its place is free, and the server is not blamed', async () => {
  let closed = (): void => undefined;
  const gone = new Promise<void>((resolve) => (closed = resolve));
  await using server = await remote((res) => void res.on('close', closed));
  const reward = asking(server.url, { inFlight: 1, failures: 1, retries: 2 });
  const client = new AbortController();
  const left = reward.score(texts('a'), client.signal);
  const behind = reward.score(texts('b'), client.signal);
  await expect.poll(() => server.asked.length).toBe(1);
  server.answer = honest;
  const next = values(reward, 'cc');
  client.abort();
  await expect(left).rejects.toThrow();
  await expect(behind).rejects.toThrow();
  expect(await next).toEqual([2]);
  expect(server.asked).toHaveLength(2);
  await gone;
});

test('a call that was too slow for its reward is ended, and counts as a failure', async () => {
  await using server = await remote(() => undefined);
  const reward = timed(asking(server.url, { failures: 1 }), 50);
  await expect(values(reward, 'a')).rejects.toBeInstanceOf(SlowReward);
  await expect.poll(() => values(reward, 'a').catch(String)).toMatch(/circuit/i);
  expect(server.asked).toHaveLength(1);
});

test('a failure that may pass is tried again, one that stays is not', async () => {
  await using server = await remote((res, asked, call) =>
    call === 0 ? json(res, {}, 503) : call === 1 ? res.destroy() : honest(res, asked),
  );
  const reward = asking(server.url, { retries: 2 });
  expect(await values(reward, 'abc')).toEqual([3]);
  expect(server.asked).toHaveLength(3);
  server.answer = (res) => json(res, { scores: 'no' });
  await expect(values(reward, 'abc')).rejects.toThrow();
  expect(server.asked).toHaveLength(4);
});

test('of a batch in several calls, only those that fail lose their scores', async () => {
  await using server = await remote((res, asked) =>
    asked.items.some(({ text }) => text === 'bad') ? json(res, {}, 500) : honest(res, asked),
  );
  const reward = asking(server.url, { batch: 1 });
  expect(await values(reward, 'a', 'bad', 'cc')).toEqual([1, NaN, 2]);
});

test('failures in a row open the circuit; after a while one call goes first', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  let now = 0;
  await using server = await remote((res) => json(res, {}, 500));
  const reward = asking(server.url, { failures: 3, halfOpenMs: 1000, now: () => now });
  for (let i = 0; i < 3; i++) await expect(values(reward, 'a')).rejects.toThrow('status 500');
  await expect(values(reward, 'a')).rejects.toThrow(/circuit/i);
  vi.setSystemTime(Date.now() + 3_600_000); // a jump of the clock is no time that passes
  await expect(values(reward, 'a')).rejects.toThrow(/circuit/i);
  expect(server.asked).toHaveLength(3);
  vi.setSystemTime(Date.now() - 7_200_000);
  now += 1000;
  await expect(values(reward, 'a')).rejects.toThrow('status 500');
  await expect(values(reward, 'a')).rejects.toThrow(/circuit/i);
  expect(server.asked).toHaveLength(4);
  now += 1000;
  server.answer = honest;
  expect(await values(reward, 'ab')).toEqual([2]);
  expect(await values(reward, 'ab')).toEqual([2]);
  expect(server.asked).toHaveLength(6);
});

test('no more calls are out, or wait, than the config allows', async () => {
  let [now, most] = [0, 0];
  const held: (() => void)[] = [];
  await using server = await remote((res, asked) => {
    most = Math.max(most, ++now);
    held.push(() => {
      now--;
      honest(res, asked);
    });
  });
  const reward = asking(server.url, { batch: 1, inFlight: 2, queue: 1 });
  const scores = values(reward, 'a', 'b', 'c', 'd');
  while (server.asked.length < 3) {
    await new Promise((resolve) => setImmediate(resolve));
    if (held.length === 2 || server.asked.length === 3) held.shift()?.();
  }
  while (held.length > 0) held.shift()!();
  expect((await scores).map((value) => (Number.isNaN(value) ? 'none' : value))).toEqual([
    1,
    1,
    1,
    'none',
  ]);
  expect(most).toBeLessThanOrEqual(2);
});

test('a server that is not there is a failure like any other', async () => {
  const gone = await remote();
  await gone[Symbol.asyncDispose]();
  await expect(values(asking(gone.url), 'a')).rejects.toThrow('connection');
});
