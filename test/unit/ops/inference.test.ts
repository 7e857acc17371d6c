import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import type { StreamEvent } from '../../../src/core/events.ts';
import { InferenceProcess } from '../../../src/ops/inference.ts';
import { createLog } from '../../../src/ops/log.ts';
import { candidate } from '../../fakes/reward.ts';

interface FakePlan {
  readonly id: string;
  readonly say?: 'die' | 'spin' | 'wait';
  readonly events?: number;
}

const script = fileURLToPath(new URL('../../fakes/worker.mjs', import.meta.url));

afterEach(() => void vi.useRealTimers());

/** A process that is stopped with its scope. */
function started(args: readonly string[] = [], stallMs = 60_000) {
  const gaveUp: string[] = [];
  const inference = new InferenceProcess<FakePlan>({
    script,
    args,
    log: createLog('silent'),
    onGiveUp: (message) => gaveUp.push(message),
    backoffMs: 5,
    stallMs,
  });
  return { inference, gaveUp, [Symbol.asyncDispose]: () => inference.stop() };
}

async function all(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const list: StreamEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const never = () => new AbortController().signal;

test('a plan goes in, its events come out in order, and the last one ends the stream', async () => {
  await using process = started();
  expect(await process.inference.ready).toBe(5);
  const events = await all(process.inference.submit({ id: 'a', events: 300 }, never()));
  expect(events).toHaveLength(301);
  expect(events.slice(0, 300).map((event) => 'text' in event && event.text)).toEqual(
    Array.from({ length: 300 }, (_, i) => String(299 - i)),
  );
  expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
});

test('a reader that does not pull pauses its request alone', async () => {
  await using process = started();
  await process.inference.ready;
  const slow = process.inference.submit({ id: 'slow', events: 1000 }, never());
  const paused = async () => (await process.inference.snapshot()).requestsWaiting;
  await expect.poll(paused).toBe(1);
  expect(await all(process.inference.submit({ id: 'fast', events: 500 }, never()))).toHaveLength(
    501,
  );
  expect(await all(slow)).toHaveLength(1001);
  expect(await paused()).toBe(0);
});

test('an abort ends the stream as cancelled, and leaving early aborts', async () => {
  await using process = started();
  await process.inference.ready;
  const controller = new AbortController();
  const waiting = all(process.inference.submit({ id: 'a', say: 'wait' }, controller.signal));
  controller.abort();
  expect(await waiting).toMatchObject([{ kind: 'end', cancelled: true }]);
  for await (const _ of process.inference.submit({ id: 'b', events: 1e9 }, never())) break;
  const running = async () => (await process.inference.snapshot()).requestsRunning;
  await expect.poll(running).toBe(0);
  const gone = process.inference.submit({ id: 'c', events: 1 }, controller.signal);
  expect(await all(gone)).toMatchObject([{ kind: 'end', cancelled: true }]);
});

test('a process that is stuck is ended: its requests fail, and the next ones are served', async () => {
  await using process = started([], 300);
  await process.inference.ready;
  const idle = all(process.inference.submit({ id: 'idle', say: 'wait' }, never()));
  await new Promise((resolve) => setTimeout(resolve, 900)); // one that has nothing to say is let be
  expect(process.inference.state).toBe('ready');
  const stuck = all(process.inference.submit({ id: 'stuck', say: 'spin' }, never()));
  for (const events of [await idle, await stuck])
    expect(events).toMatchObject([{ kind: 'failed', failure: { code: 'internal_error' } }]);
  await expect.poll(() => process.inference.state, { timeout: 20_000 }).toBe('ready');
  expect(await all(process.inference.submit({ id: 'late', events: 1 }, never()))).toHaveLength(2);
});

test('when the process dies its requests fail, and it is started again', async () => {
  await using process = started();
  await process.inference.ready;
  const others = all(process.inference.submit({ id: 'other', say: 'wait' }, never()));
  const killer = all(process.inference.submit({ id: 'killer', say: 'die' }, never()));
  for (const events of [await others, await killer])
    expect(events).toMatchObject([{ kind: 'failed', failure: { code: 'internal_error' } }]);
  expect(process.inference.state).toBe('restarting');
  const early = await all(process.inference.submit({ id: 'early', events: 1 }, never()));
  expect(early).toMatchObject([{ kind: 'failed', failure: { code: 'overloaded' } }]);
  await expect.poll(() => process.inference.state, { timeout: 20_000 }).toBe('ready');
  expect(await all(process.inference.submit({ id: 'late', events: 1 }, never()))).toHaveLength(2);
});

test('five deaths in a minute are enough, whatever the wall clock says', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  await using process = started();
  for (let i = 0; i < 5; i++) {
    vi.setSystemTime(Date.now() + 3_600_000);
    await expect.poll(() => process.inference.state, { timeout: 5000 }).toBe('ready');
    await all(process.inference.submit({ id: `k${i}`, say: 'die' }, never()));
  }
  expect(process.gaveUp).toHaveLength(1);
  expect(process.gaveUp[0]).toContain('5 times in a minute');
  expect(process.inference.state).toBe('stopped');
});

test('a process that cannot start says why', async () => {
  await using process = started(['fatal']);
  await expect.poll(() => process.gaveUp, { timeout: 5000 }).toEqual(['model.onnx is damaged']);
});

test('texts go in to be judged, and their scores or the failure come out, unless nobody waits', async () => {
  await using process = started();
  const reward = { uses: [], ensemble: null, lagrange: null, constraints: [], length: null };
  const asked = (id: string, ...texts: string[]) => ({
    id,
    request: 'req_1',
    reward,
    candidates: texts.map((text) => candidate(text)),
  });
  await expect(process.inference.judge(asked('early', 'x'), never())).rejects.toMatchObject({
    code: 'overloaded',
  });
  await process.inference.ready;
  const [good, bad] = await Promise.allSettled([
    process.inference.judge(asked('a', 'x', 'yy'), never()),
    process.inference.judge(asked('b', 'bad'), never()),
  ]);
  expect(good).toMatchObject({ value: { scores: [{ value: 1 }, { value: 2 }], evaluations: [] } });
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'reward_failed' } });
  const [leave, running] = [
    new AbortController(),
    process.inference.snapshot.bind(process.inference),
  ];
  const left = process.inference.judge(asked('l', 'wait'), leave.signal);
  await expect.poll(async () => (await running()).requestsRunning).toBe(1);
  leave.abort(new Error('nobody waits'));
  await expect(left).rejects.toThrow('nobody waits');
  await expect.poll(async () => (await running()).requestsRunning).toBe(0);
  await expect(process.inference.judge(asked('l', 'x'), leave.signal)).rejects.toThrow('nobody');
  await expect(process.inference.judge(asked('c'), never())).rejects.toMatchObject({
    code: 'internal_error',
  });
});

test('a snapshot of a process that is not there is the last known one', async () => {
  await using process = started(['silent']);
  expect(process.inference.state).toBe('starting');
  expect(await process.inference.snapshot()).toMatchObject({ requestsRunning: 0, forwards: {} });
});
