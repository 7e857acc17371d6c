import { afterEach, beforeEach, expect, test } from 'vitest';
import type { DecodeEngine } from '../../../src/engine/engine.ts';
import { advance, answer, answerOf, within } from '../../fakes/drive.ts';
import { fakeEngine, opening, type Ask } from '../../fakes/engine.ts';
import type { FakeModel } from '../../fakes/model.ts';

let engine: DecodeEngine;
let policy: FakeModel;
beforeEach(() => {
  const made = fakeEngine({ endBias: -100 });
  [engine, policy] = [made.engine, made.models.policy];
});
afterEach(() => engine.audit());

const ask: Ask = { peak: 2, guides: [['kind', 1]] };

/** Five tokens, parked, and to the end, beside however many others. */
const parked = (crowd: number): Promise<unknown> => {
  for (let i = 0; i < crowd; i++) void answer(engine, opening({ prompt: [9, i + 1], seed: i }));
  return within(engine, opening(ask), async (session) => {
    await advance(session, [session.root], 5);
    session.park([session.root]);
    await advance(session, [session.root], 20);
    return answerOf(session.root);
  });
};

test('what is parked is rebuilt by prefill, the same alone and in traffic', async () => {
  const alone = await parked(0);
  expect(policy.work.prefillTokens).toBe(4 + 5); // the prompt came from the cache
  for (const crowd of [1, 6]) expect(await parked(crowd)).toEqual(alone);
});

test('a parked branch holds no row: many may wait while few move', async () => {
  await within(engine, opening(ask), async (session) => {
    session.park([session.root]);
    const all = session.fork(session.root, 6);
    for (let i = 0; i < 6; i += 2) {
      await advance(session, all.slice(i, i + 2), 4);
      session.park(all.slice(i, i + 2));
    }
    expect(new Set(all.map(({ tokens }) => String(tokens))).size).toBe(6);
    await expect(async () => advance(session, all.slice(0, 3), 1)).rejects.toThrow('may hold 2');
    await advance(session, all.slice(4), 1);
    expect(all.map(({ tokens }) => tokens.length)).toEqual([4, 4, 4, 4, 5, 5]);
  });
});

test('twins of a parked branch go on as twins of one that was not, in law', async () => {
  const tokens = async (park: boolean): Promise<number> =>
    within(engine, opening({ peak: 3 }), async (session) => {
      await advance(session, [session.root], 3);
      if (park) session.park([session.root]);
      const twins = session.fork(session.root, 3);
      await advance(session, twins, 4);
      expect(new Set(twins.map((one) => String(one.tokens))).size).toBe(3);
      return twins[2]!.tokens.length;
    });
  expect(await tokens(true)).toBe(await tokens(false));
});

test('finished branches give their rows back at the next yield, and may be forked still', async () => {
  await within(engine, opening({ peak: 3, maxTokens: 2 }), async (session) => {
    const [a, b, c] = session.fork(session.root, 3);
    await advance(session, [a!, b!, c!], 2);
    expect(() => session.fork(a!, 2)).toThrow('may hold 3');
    session.keep([a!, b!]);
    const twins = session.fork(a!, 4);
    expect(twins.map(({ finish }) => finish)).toEqual(['length', 'length', 'length', 'length']);
    session.keep(twins);
  });
});

test('parking twice, or what has never moved, is nothing', async () => {
  await within(engine, opening(), async (session) => {
    session.park([session.root]);
    session.park([session.root, session.root]);
    await advance(session, [session.root], 3);
    expect(session.root.tokens).toHaveLength(3);
  });
});

test("a strategy's own numbers are those of its seed, choice and step", async () => {
  const numbers = (seed: number, choice: number): Promise<number[]> =>
    within(engine, opening({ seed, choice }), async (session) =>
      [0, 1, 2, 0].map((step) => session.uniform(step)),
    );
  const [a, b, c, again] = [
    await numbers(1, 0),
    await numbers(2, 0),
    await numbers(1, 1),
    await numbers(1, 0),
  ];
  expect(a).toEqual(again);
  expect(a[0]).toBe(a[3]);
  expect(new Set([...a, ...b, ...c]).size).toBe(9);
  for (const u of a) expect(u).toBeGreaterThanOrEqual(0);
});

test('a pushed token keeps its guided numbers, and counts as generated once', async () => {
  const whole = await answer(engine, opening(ask));
  await within(engine, opening(ask), async (session) => {
    for (const token of whole.tokens) {
      const next = await session.peek(session.root, 27);
      await session.peek(session.root, 3);
      session.push(
        session.root,
        next.find((one) => one.token === token)!,
      );
    }
    expect(answerOf(session.root)).toEqual(whole);
    expect(session.spent.generatedTokens).toBe(whole.tokens.length);
    expect([session.promptTokens, session.maxTokens]).toEqual([4, 20]);
  });
});

test('a peek knows which tokens end the answer', async () => {
  await within(engine, opening(), async (session) => {
    const next = await session.peek(session.root, 27);
    expect(next.filter(({ ends }) => ends).map(({ token }) => token)).toEqual([0]);
  });
});

test('a segment has its least length before an unsure token may end it', async () => {
  await within(engine, opening({ peak: 2 }), async (session) => {
    for (const least of [1, 3]) {
      const before = session.root.tokens.length;
      await advance(session, [session.root], 9, { until: { entropy: 0, least } });
      expect(session.root.tokens.length - before).toBe(least);
    }
  });
});
