/** Questions to the policy about its branches: what it says, and that nobody notices that it was asked. */

import { describe, expect, test } from 'vitest';
import type { Question } from '../../../src/core/tree.ts';
import { advance, answer, answerOf, turns, within } from '../../fakes/drive.ts';
import { fakeEngine, opening } from '../../fakes/engine.ts';

const { engine } = fakeEngine({ endBias: -100 });
const QUESTION: Question = { asks: [5, 9, 2, 7], labels: [3, 11, 20] };
const plain = opening({ peak: 4 });
const wide = opening({ peak: 4, guides: [['kind', 1.5]] });

/** The policy's own law after a prompt. */
async function lawAfter(prompt: readonly number[]): Promise<ReadonlyMap<number, number>> {
  return within(engine, opening({ prompt }), async (session) => {
    const next = await session.peek(session.root, 27);
    return new Map(next.map(({ token, logprob }) => [token, Math.exp(logprob)]));
  });
}

describe('a question', () => {
  test('is answered by the policy’s own odds of the labels, whatever guides', async () => {
    await within(engine, wide, async (session) => {
      await advance(session, [session.root], 1);
      const [odds] = await session.ask([session.root], QUESTION);
      const prompt = [...wide.lanes[0]!.prompt, ...session.root.tokens, ...QUESTION.asks];
      const law = await lawAfter(prompt);
      const said = QUESTION.labels.map((label) => law.get(label)!);
      const total = said.reduce((sum, p) => sum + p, 0);
      said.forEach((p, i) => expect(odds![i]).toBeCloseTo(p / total, 6));
    });
  });

  test('changes nothing of what follows, and costs its tokens and no draw', async () => {
    const whole = await answer(engine, wide);
    await within(engine, wide, async (session) => {
      for (let i = 0; i < 6; i++) {
        await advance(session, [session.root], 3);
        const drawn = session.spent.generatedTokens;
        await session.ask([session.root], QUESTION);
        expect(session.spent.generatedTokens).toBe(drawn);
        expect(session.branches).toEqual([session.root]);
      }
      expect(session.spent.askedTokens).toBe(6 * QUESTION.asks.length);
      await advance(session, [session.root], 20);
      expect(answerOf(session.root)).toEqual(whole);
    });
    engine.audit();
  });

  test('has the same answer of many at once, one after another, in small chunks and of finished ones', async () => {
    const all: unknown[] = [];
    for (const options of [{}, { iterationTokens: 3 }, { prefixBytes: 0 }])
      for (const together of [true, false]) {
        const other = fakeEngine({ endBias: 0, ...options }).engine;
        await within(other, plain, async (session) => {
          const three = session.fork(session.root, 3); // one row is left
          await advance(session, three, 20);
          const odds = together
            ? await session.ask(three, QUESTION)
            : [
                ...(await session.ask(three.slice(0, 1), QUESTION)),
                ...(await session.ask(three.slice(1), QUESTION)),
              ];
          all.push(odds);
          expect(new Set(odds.map((one) => one[0])).size).toBe(3);
        });
        other.audit();
        expect(other.load.kvUsage).toBe(0);
      }
    for (const odds of all) expect(odds).toEqual(all[0]);
  });

  test('stands right behind the answer: an end token is not read', async () => {
    const odds: unknown[] = [];
    for (const ends of [false, true])
      await within(engine, plain, async (session) => {
        const { root } = session;
        const first = await session.peek(root, 27);
        session.push(
          root,
          first.find((next) => !next.ends)!,
        );
        const second = await session.peek(root, 27);
        if (ends)
          session.push(
            root,
            second.find((next) => next.ends)!,
          );
        expect(root.finish).toBe(ends ? 'stop' : null);
        const before = answerOf(root);
        odds.push(await session.ask([root], QUESTION));
        expect(answerOf(root)).toEqual(before);
      });
    expect(odds[1]).toEqual(odds[0]);
    engine.audit();
  });

  test('of one token is read too, and so is one about a parked branch', async () => {
    const one = { asks: [4], labels: [1, 2] };
    await within(engine, plain, async (session) => {
      await advance(session, [session.root], 5);
      const [held] = await session.ask([session.root], QUESTION);
      expect((await session.ask([session.root], one))[0]).toHaveLength(2);
      session.park([session.root]);
      const [rebuilt] = await session.ask([session.root], QUESTION);
      expect(rebuilt).not.toEqual(held); // what was stepped is read by prefill now
      expect(rebuilt!.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    });
    engine.audit();
  });

  test('is refused where no row is left for it, and where rows are too short', async () => {
    await within(engine, plain, async (session) => {
      const four = session.fork(session.root, 4);
      await expect(session.ask(four, QUESTION)).rejects.toThrow('may hold 4');
    });
    const long = opening({ maxTokens: 250, extra: 4 });
    await expect(engine.open(long, new AbortController().signal)).rejects.toThrow('room for 256');
    await within(engine, opening({ maxTokens: 58, extra: 10, peak: 2 }), async (session) => {
      await advance(session, [session.root], 58); // with its prompt 62 of 64, so it has a row of 256
      const question = { asks: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], labels: [1, 2] };
      expect((await session.ask([session.root], question))[0]).toHaveLength(2);
    });
    engine.audit();
  });

  test('an abort while it is read leaves no fork behind', async () => {
    const long = { asks: Array.from({ length: 150 }, (_, i) => 1 + (i % 20)), labels: [1, 2] };
    for (const n of [0, 1, 2]) {
      const slow = fakeEngine({ endBias: -100, iterationTokens: 3 }).engine;
      const abort = new AbortController();
      const asked = within(
        slow,
        opening({ peak: 2, extra: 150 }),
        async (session) => {
          await advance(session, [session.root], 2);
          const waiting = session.ask([session.root], long);
          await turns(n);
          abort.abort(new Error('gone'));
          await expect(waiting).rejects.toThrow('gone');
          expect(session.branches).toEqual([session.root]);
        },
        abort.signal,
      );
      await asked;
      slow.audit();
      expect(slow.load).toMatchObject({ running: 0, kvUsage: 0 });
    }
  });
});
