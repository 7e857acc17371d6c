import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BudgetSpent } from '../../../src/core/budget.ts';
import type { Session } from '../../../src/core/engine.ts';
import type { Branch, Reach } from '../../../src/core/tree.ts';
import type { DecodeEngine } from '../../../src/engine/engine.ts';
import { advance, answer, answerOf, forever, turns, within } from '../../fakes/drive.ts';
import { fakeEngine, nextOf, opening } from '../../fakes/engine.ts';

let engine: DecodeEngine;
beforeEach(() => {
  ({ engine } = fakeEngine({ endBias: -100 }));
});
afterEach(() => engine.audit());

const wide = opening({ peak: 4 });

describe('follow', () => {
  test('tells of each token of an only branch as it is drawn, and of none that has a rival', async () => {
    await within(engine, wide, async (session) => {
      const lengths: number[] = [];
      session.follow(({ tokens }) => lengths.push(tokens.length));
      await advance(session, [session.root], 3);
      expect(lengths).toEqual([1, 2, 3]);
      const [first, rival] = session.fork(session.root, 2);
      await advance(session, [first!], 2);
      session.keep([rival!]);
      await advance(session, [rival!], 1);
      expect(lengths).toEqual([1, 2, 3, 4]);
    });
  });

  test('a follower that throws fails its own wait at that token, and nobody else notices', async () => {
    const undisturbed = await answer(engine, opening({ seed: 7 }));
    const broken = within(engine, wide, async (session) => {
      session.follow(({ tokens }) => {
        if (tokens.length === 3) throw new Error('heard enough');
      });
      await advance(session, [session.root], 9).catch((error: unknown) => {
        expect(session.root.tokens).toHaveLength(3);
        throw error;
      });
    });
    const beside = answer(engine, opening({ seed: 7 }));
    await expect(broken).rejects.toThrow('heard enough');
    expect(await beside).toEqual(undisturbed);
  });
});

describe('extend', () => {
  test('advances in place by exactly as many tokens as asked, again and again', async () => {
    const whole = await answer(engine, wide);
    await within(engine, wide, async (session) => {
      for (const [step, total] of [
        [3, 3],
        [1, 4],
        [5, 9],
      ] as const) {
        await advance(session, [session.root], step);
        expect(session.root.tokens).toEqual(whole.tokens.slice(0, total));
      }
    });
  });

  test('of nothing, by nothing or of what has finished resolves at once', async () => {
    await within(engine, opening({ maxTokens: 2 }), async (session) => {
      await advance(session, [], 5);
      await advance(session, [session.root], 0);
      expect(session.root.tokens).toHaveLength(0);
      await advance(session, [session.root], 5);
      expect(session.root.finish).toBe('length');
      await advance(session, [session.root], 5);
      expect(session.root.tokens).toHaveLength(2);
    });
  });

  test('stops at the first delimiter in the new text, and goes on from there', async () => {
    const { text } = await answer(engine, wide);
    const delimiter = text[4]!;
    const at = text.indexOf(delimiter);
    await within(engine, wide, async (session) => {
      await advance(session, [session.root], 20, { until: { text: [delimiter] } });
      expect(session.root.text).toBe(text.slice(0, at + 1));
      expect(session.root.finish).toBeNull();
      await advance(session, [session.root], 20);
      expect(session.root.text).toBe(text);
    });
  });

  test('stops before a token whose entropy reaches the bound, and always moves', async () => {
    const whole = await answer(engine, wide);
    const bound = whole.draws.map(({ entropy }) => entropy).toSorted((a, b) => b - a)[3]!;
    await within(engine, wide, async (session) => {
      const ends: number[] = [];
      while (session.root.finish === null) {
        await advance(session, [session.root], 20, { until: { entropy: bound } });
        ends.push(session.root.tokens.length);
      }
      const high = whole.draws.flatMap(({ entropy }, i) => (entropy >= bound && i > 0 ? [i] : []));
      expect(ends).toEqual([...high, 20]);
      expect(answerOf(session.root)).toEqual(whole);
    });
  });

  test('draws as the reach says, where it says', async () => {
    await within(engine, wide, async (session) => {
      const [a, b] = session.fork(session.root, 2);
      await advance(session, [a!], 6, { sampling: { temperature: 0 } });
      await advance(session, [b!], 6, { sampling: { temperature: 0 } });
      expect(a!.tokens).toEqual(b!.tokens);
    });
  });
});

describe('a budget', () => {
  const spent = (budget: number, reach: Partial<Reach> = {}, tokens = 20) =>
    within(engine, opening({ peak: 4, budget, maxTokens: 40 }), async (session) => {
      const branches = session.fork(session.root, 3);
      const end = await advance(session, branches, tokens, reach).catch((error: unknown) => error);
      return { session, branches, end, lengths: branches.map((one) => one.tokens.length) };
    });

  test('that is too small is shared out equally, then spent', async () => {
    const { end, lengths } = await spent(31);
    expect(end).toBeInstanceOf(BudgetSpent);
    expect(lengths).toEqual([11, 10, 10]);
    expect((await spent(2)).lengths).toEqual([1, 1, 0]);
  });

  test('that is enough to the token shows in nothing', async () => {
    const { end, lengths, branches } = await spent(60);
    expect(end).toBeUndefined();
    expect(lengths).toEqual([20, 20, 20]);
    const free = await spent(Infinity);
    expect(branches.map(answerOf)).toEqual(free.branches.map(answerOf));
  });

  test('goes on with what those that stop early leave over', async () => {
    const whole = await spent(Infinity, {}, 30);
    const until = { text: [whole.branches[0]!.text[2]!] };
    const paused = await spent(Infinity, { until }, 30);
    const needed = paused.lengths.reduce((a, b) => a + b);
    expect(Math.max(...paused.lengths)).toBeGreaterThan(needed / 3 + 1);
    const exact = await spent(needed, { until }, 30);
    expect([exact.end, exact.lengths]).toEqual([undefined, paused.lengths]);
    expect((await spent(needed - 1, { until }, 30)).end).toBeInstanceOf(BudgetSpent);
  });

  test('counts a peek as the token it leads to, and refuses one more', async () => {
    await within(engine, opening({ budget: 2 }), async (session) => {
      for (let i = 0; i < 2; i++)
        session.push(session.root, (await session.peek(session.root, 1))[0]!);
      await expect(session.peek(session.root, 1)).rejects.toThrow(BudgetSpent);
      expect(session.spent.generatedTokens).toBe(2);
    });
  });
});

describe('append', () => {
  const read = (session: Session, branch: Branch) =>
    session.peek(branch, 27).then((top) => top.map(({ token, logprob }) => [token, logprob]));

  test('of a token that would have been drawn leads to the same law', async () => {
    const whole = await answer(engine, wide);
    await within(engine, wide, async (session) => {
      const [branch] = session.fork(session.root, 1);
      session.append(branch!, whole.tokens.slice(0, 1));
      await advance(session, [branch!], 1);
      expect(branch!.tokens).toEqual(whole.tokens.slice(0, 2));
      expect(branch!.draws[0]).toMatchObject({ token: whole.tokens[0], logprob: 0, base: 0 });
      expect(branch!.draws[1]).toEqual(whole.draws[1]);
    });
  });

  test('reads a turn on a fork, in whatever chunks, and leaves the branch alone', async () => {
    const whole = await answer(engine, wide);
    const turn = [5, 9, 2, 7, 11];
    const laws: unknown[] = [];
    for (const iterationTokens of [64, 3]) {
      const narrow = fakeEngine({ endBias: -100, iterationTokens, prefixBytes: 0 }).engine;
      await within(narrow, wide, async (session) => {
        await advance(session, [session.root], 1);
        const twin = session.fork(session.root, 2)[1]!;
        session.append(twin, turn);
        laws.push(await read(session, twin));
        await advance(session, [session.root], 20);
        expect(answerOf(session.root)).toEqual(whole);
      });
      narrow.audit();
    }
    expect(laws[1]).toEqual(laws[0]);
    const prompt = [...wide.lanes[0]!.prompt, whole.tokens[0]!, ...turn];
    const asked = opening({ prompt });
    await within(engine, asked, async (session) =>
      expect(await read(session, session.root)).toEqual(laws[0]),
    );
  });

  test('opens a finished branch again', async () => {
    const ending = fakeEngine({ endBias: 100 }).engine;
    await within(ending, wide, async (session) => {
      await advance(session, [session.root], 5);
      expect(session.root.finish).toBe('stop');
      const twin = session.fork(session.root, 2)[1]!;
      session.append(twin, [3, 4]);
      expect([twin.finish, session.root.finish]).toEqual([null, 'stop']);
      expect(await session.peek(twin, 2)).toHaveLength(2);
    });
  });
});

describe('peek', () => {
  test('shows the likeliest tokens without taking one, and does not change what follows', async () => {
    const whole = await answer(engine, wide);
    await within(engine, wide, async (session) => {
      for (let i = 0; i < 20; i++) {
        const top = await session.peek(session.root, 5);
        const again = await session.peek(session.root, 3);
        expect(again).toEqual(top.slice(0, 3));
        await advance(session, [session.root], 1);
        const drawn = session.root.draws.at(-1)!;
        const seen = top.find(({ token }) => token === drawn.token);
        if (seen !== undefined) expect(seen.logprob).toBe(drawn.logprob);
      }
      expect(answerOf(session.root)).toEqual(whole);
    });
  });

  test('shows no token that cannot be drawn, and none when none is asked for', async () => {
    await within(engine, wide, async (session) => {
      const top = await session.peek(session.root, 64);
      expect(top).toHaveLength(27);
      expect(await session.peek(session.root, 0)).toEqual([]);
      expect(session.root.tokens).toEqual([]);
    });
  });

  test('a pushed token is read like a drawn one', async () => {
    const whole = await answer(engine, wide);
    await within(engine, wide, async (session) => {
      for (const token of whole.tokens.slice(0, 7)) {
        const top = await session.peek(session.root, 27);
        session.push(
          session.root,
          top.find((next) => next.token === token)!,
        );
      }
      await advance(session, [session.root], 20);
      expect(session.root.tokens).toEqual(whole.tokens);
      expect(session.root.text).toBe(whole.text);
    });
  });

  test('no token can be pushed onto a finished branch', async () => {
    await within(engine, opening({ maxTokens: 1 }), async (session) => {
      session.push(session.root, nextOf(3));
      expect(session.root.finish).toBe('length');
      expect(() => session.push(session.root, nextOf(3))).toThrow('has finished');
    });
  });
});

describe('fork', () => {
  const twins = async (before: number, n = 4): Promise<(readonly number[])[]> =>
    within(engine, wide, async (session) => {
      if (before > 0) await advance(session, [session.root], before);
      const all = session.fork(session.root, n);
      await advance(session, all, 20);
      return all.map(({ tokens }) => tokens);
    });

  test('twins share what came before and part afterwards; the parent goes on as if alone', async () => {
    const alone = await answer(engine, wide);
    for (const before of [0, 1, 7]) {
      const all = await twins(before);
      expect(all[0]).toEqual(alone.tokens);
      for (const tokens of all)
        expect(tokens.slice(0, before)).toEqual(alone.tokens.slice(0, before));
      expect(new Set(all.map(String)).size).toBe(4);
    }
  });

  test("a twin's randomness is its ordinal in the tree: the same each time", async () => {
    expect(await twins(3)).toEqual(await twins(3));
    expect((await twins(3, 2))[1]).toEqual((await twins(3, 4))[1]);
  });

  test('a twin of a branch equals that branch re-read from a longer prompt only in law, not in cache', async () => {
    await within(engine, wide, async (session) => {
      await advance(session, [session.root], 5);
      const [a, b] = session.fork(session.root, 2);
      const [left, right] = [await session.peek(a!, 8), await session.peek(b!, 8)];
      expect(left).toEqual(right);
    });
  });

  test('more branches than were admitted are refused', async () => {
    await within(engine, wide, async (session) => {
      expect(session.width).toBe(4);
      expect(() => session.fork(session.root, 5)).toThrow(/5 branches.*may hold 4/);
      session.fork(session.root, 4);
      expect(() => session.fork(session.root, 2)).toThrow('may hold 4');
    });
  });
});

describe('keep', () => {
  test('frees the others there and then; using one afterwards throws', async () => {
    await within(engine, wide, async (session) => {
      const all = session.fork(session.root, 4);
      await advance(session, all, 3);
      session.keep([all[2]!]);
      expect(() => session.push(all[0]!, nextOf(1))).toThrow('branch 0 was dropped');
      expect(() => session.fork(all[1]!, 2)).toThrow('branch 1 was dropped');
      expect(session.fork(all[2]!, 4)).toHaveLength(4);
    });
  });

  test('the survivors go on as if nobody had left', async () => {
    const undisturbed = await within(engine, wide, async (session) => {
      const all = session.fork(session.root, 4);
      await advance(session, all, 20);
      return all.map(answerOf);
    });
    await within(engine, wide, async (session) => {
      const all = session.fork(session.root, 4);
      await advance(session, all, 3);
      session.keep([all[1]!, all[3]!]);
      await advance(session, [all[3]!, all[1]!], 20);
      expect([all[1]!, all[3]!].map(answerOf)).toEqual([undisturbed[1], undisturbed[3]]);
    });
  });
});

test('a session closed while its rows still wait leaves nothing behind', async () => {
  const session = await engine.open(wide, forever);
  const waiting = advance(session, session.fork(session.root, 3), 1000);
  await turns(3);
  const refused = expect(waiting).rejects.toThrow('dropped');
  await session[Symbol.asyncDispose]();
  await refused;
  expect(engine.load.running).toBe(0);
  expect(await answer(engine, wide)).toMatchObject({ finish: 'length' });
});

test('a branch dropped while it is being extended does not hang the one who waits', async () => {
  await within(engine, wide, async (session) => {
    const [a, b] = session.fork(session.root, 2);
    const waiting = advance(session, [a!, b!], 10);
    await turns(2);
    const refused = expect(waiting).rejects.toThrow('dropped');
    session.keep([b!]);
    await refused;
    await advance(session, [b!], 2);
  });
});

test('a session counts what it spent', async () => {
  const asked = opening({ guides: [['kind', 1]], maxTokens: 6, prompt: [1, 2, 3, 4, 5] });
  await within(engine, asked, async (session) => {
    await advance(session, [session.root], 6);
    const { generatedTokens, guideTokens, cachedTokens } = session.spent;
    expect([generatedTokens, guideTokens, cachedTokens]).toEqual([6, 10, 0]);
  });
  await within(engine, asked, async (session) => {
    await advance(session, [session.root], 6);
    expect(session.spent).toMatchObject({ guideTokens: 5, cachedTokens: 5 });
  });
});
