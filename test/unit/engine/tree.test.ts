import { describe, expect, test } from 'vitest';
import { obeysTreeLaws } from '../../laws/tree.ts';
import { ChainTree, type Chain } from '../../fakes/chain.ts';
import { advance, within } from '../../fakes/drive.ts';
import { fakeEngine, opening } from '../../fakes/engine.ts';

const endless: Chain = {
  initial: [0.5, 0.3, 0.2, 0],
  transition: { a: [0.2, 0.5, 0.3, 0], b: [0.5, 0.2, 0.3, 0], c: [0.4, 0.3, 0.3, 0] },
};

describe('every tree', () => {
  obeysTreeLaws("an engine's", async (use) => {
    const { engine } = fakeEngine({ endBias: -100 });
    await within(engine, opening({ peak: 8, guides: [['kind', 1]] }), use);
    engine.audit();
  });
  obeysTreeLaws('a chain', (use) =>
    use(new ChainTree({ chain: endless, maxTokens: 20, width: 8 })),
  );
});

describe('rows of KV', () => {
  const opened = async (width: number, use: Parameters<typeof within>[2]) => {
    const { engine, models } = fakeEngine({ endBias: -100 });
    await within(engine, opening({ peak: width }), use);
    engine.audit();
    return models.policy.work;
  };

  test('a full tree reorders: whoever has no place makes room for the twins', async () => {
    const { prefillTokens } = await opened(3, async (session) => {
      let all = session.fork(session.root, 3);
      for (const places of [
        [1, 1, 1],
        [2, 0, 2],
        [0, 1, 2],
      ]) {
        await advance(session, all, 1);
        all = session.reorder(all, places);
        session.keep(all);
      }
      await advance(session, all, 1);
    });
    expect(prefillTokens).toBe(4); // nothing is read again
  });

  test('those that were dropped before are passed over, those that have a place are not', async () => {
    await opened(3, async (session) => {
      const all = session.fork(session.root, 3);
      await advance(session, all, 1);
      session.keep([all[1]!]);
      expect(session.reorder(all, [1, 1, 1]).map(({ id }) => id)).toEqual([1, 3, 4]);
      expect(() => session.reorder(all, [0])).toThrow('branch 0 was dropped');
    });
  });

  test('a token is taken without a row, in a tree that is full', async () => {
    const { copies } = await opened(1, async (session) => {
      const next = await session.peek(session.root, 3);
      const taken = next.map((one) => session.take(session.root, one));
      expect(taken.map(({ tokens }) => tokens.length)).toEqual([1, 1, 1]);
      await expect(advance(session, taken, 1)).rejects.toThrow('may hold 1');
    });
    expect(copies).toBe(0);
  });

  test('more twins than there are rows are refused, of a parked branch they are not', async () => {
    await opened(2, async (session) => {
      await advance(session, [session.root], 1);
      expect(() => session.twins(session.root, 2)).toThrow('may hold 2');
      session.park([session.root]);
      expect(session.twins(session.root, 5)).toHaveLength(5);
    });
  });
});
