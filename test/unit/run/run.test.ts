import { afterEach, expect, test, vi } from 'vitest';
import type { Engine } from '../../../src/core/engine.ts';
import { ServeError } from '../../../src/core/errors.ts';
import { Gate } from '../../../src/run/gate.ts';
import { turns } from '../../fakes/drive.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { planOf, ran } from '../../fakes/plan.ts';

const { engine } = fakeEngine({ endBias: -100 });
afterEach(() => engine.audit());

test('n choices are n independent trees, the same each time, and the first is that of n = 1', async () => {
  const plan = planOf({ n: 4, seed: 7 });
  const [once, again, single] = [
    await ran(engine, plan),
    await ran(engine, plan),
    await ran(engine, planOf({ n: 1, seed: 7 })),
  ];
  const texts = once.choices.map(({ text }) => text);
  expect(new Set(texts).size).toBe(4);
  expect(again.choices.map(({ text }) => text)).toEqual(texts);
  expect(single.choices[0]!.text).toBe(texts[0]);
});

test('choices of several prompts are numbered prompt by prompt', async () => {
  const prompts = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  const { choices } = await ran(engine, planOf({ n: 2, prompts, seed: 7 }));
  const second = await ran(engine, planOf({ n: 2, prompt: [4, 5, 6], seed: 7 }));
  expect(choices.slice(2).map(({ text }) => text)).toEqual(second.choices.map(({ text }) => text));
});

test('every choice finishes with a report that adds up, then the request ends', async () => {
  const { events, choices } = await ran(engine, planOf({ n: 3, guides: [['kind', 1]] }));
  expect(events.filter(({ kind }) => kind === 'finish')).toHaveLength(3);
  expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
  for (const { report, draws, finish } of choices) {
    expect(finish).toBe('length');
    expect(report).toMatchObject({ completionTokens: 20, generatedTokens: 20, prunedTokens: 0 });
    const bent = draws.reduce((sum, { logprob, base }) => sum + logprob - base, 0);
    expect(report!.kl).toBeCloseTo(bent, 9);
  }
});

test('an unguided answer has diverged by exactly nothing', async () => {
  const { choices } = await ran(engine, planOf());
  expect(choices[0]!.report!.kl).toBe(0);
});

/** The engine, but the choices in `which` are refused. */
const refusing = (which: readonly number[], error: Error): Engine => ({
  open: (asked, signal) =>
    which.includes(asked.choice) ? Promise.reject(error) : engine.open(asked, signal),
});

test('a failure in one choice fails the request: one `failed` event, nothing after it, nothing left', async () => {
  const error = new ServeError('queue_full', 'come back later');
  const { events, bugs } = await ran(refusing([1, 2], error), planOf({ n: 4 }));
  const failure = { code: 'queue_full', message: 'come back later', param: null };
  expect(events.filter(({ kind }) => kind === 'failed')).toEqual([
    { kind: 'failed', failure, spent: 0 },
  ]);
  expect(events.at(-1)!.kind).toBe('failed');
  expect(bugs).toEqual([]);
  expect(engine.load.running).toBe(0);
});

test('a bug is reported where it can be read, and clients see only an internal error', async () => {
  const bug = new Error('index out of range in secret.ts');
  const { events, bugs } = await ran(refusing([0], bug), planOf());
  expect(bugs).toEqual([bug]);
  expect(events).toEqual([
    {
      kind: 'failed',
      failure: { code: 'internal_error', message: 'internal error', param: null },
      spent: 0,
    },
  ]);
});

test('a request over the context is refused with both numbers', async () => {
  const { events } = await ran(engine, planOf({ maxTokens: 300 }));
  expect(events).toMatchObject([
    { kind: 'failed', failure: { code: 'context_length_exceeded', param: 'max_tokens' } },
  ]);
});

test('cancelling ends with `end`, cancelled, in decode and while paused', async () => {
  for (const paused of [false, true]) {
    const [gate, abort] = [new Gate(), new AbortController()];
    const running = ran(engine, planOf({ n: 3, maxTokens: 50 }), { signal: abort.signal, gate });
    await turns(4);
    if (paused) gate.close();
    await turns(4);
    abort.abort();
    await turns(1);
    expect(engine.load.running).toBe(0);
    const { events } = await running;
    expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: true });
    expect(events.some(({ kind }) => kind === 'commit')).toBe(true);
  }
});

test('a request cancelled before it starts opens nothing', async () => {
  const { events } = await ran(engine, planOf({ n: 2 }), { signal: AbortSignal.abort() });
  expect(events).toMatchObject([{ kind: 'end', cancelled: true }]);
});

test('a pause stops decoding within 16 tokens, and what comes after it is what would have come', async () => {
  const free = await ran(engine, planOf({ maxTokens: 30 }));
  const gate = new Gate();
  const running = ran(engine, planOf({ maxTokens: 30 }), {
    gate,
    onEvent: (event) => event.kind === 'commit' && gate.close(),
  });
  const { rows: before } = engine.stats;
  await turns(20);
  const { rows } = engine.stats;
  expect(rows - before).toBeLessThanOrEqual(16);
  await turns(20);
  expect(engine.stats.rows).toBe(rows);
  const opening = setInterval(() => gate.open(), 0);
  const { choices } = await running;
  clearInterval(opening);
  expect(choices[0]!.text).toBe(free.choices[0]!.text);
});

test('many choices on one signal raise no warning of a leak, and leave no listener', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const abort = new AbortController();
  await ran(engine, planOf({ n: 32, maxTokens: 3 }), { signal: abort.signal });
  expect(warn).not.toHaveBeenCalled();
  warn.mockRestore();
});
