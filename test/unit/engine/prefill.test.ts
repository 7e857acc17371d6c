import { afterEach, describe, expect, test } from 'vitest';
import type { KvRows } from '../../../src/core/model.ts';
import type { DecodeEngine } from '../../../src/engine/engine.ts';
import { advance, answer, forever, turns, within } from '../../fakes/drive.ts';
import { fakeEngine, opening } from '../../fakes/engine.ts';
import type { FakeModel } from '../../fakes/model.ts';

const prompt = (length: number, first = 1): number[] =>
  Array.from({ length }, (_, i) => 1 + ((first + i) % 26));

/** Lengths of the prompts of every run of a model, in order. */
function watch(model: FakeModel): { singles: number[]; bursts: number[][] } {
  const seen = { singles: [] as number[], bursts: [] as number[][] };
  const open = model.open.bind(model);
  Object.assign(model, {
    open: (rows: number, length: number): KvRows => {
      const kv = open(rows, length);
      const [single, batch] = [kv.prefill.bind(kv), kv.prefillBatch.bind(kv)];
      let inside = false; // the fake's burst calls its own prefill
      kv.prefill = (row, tokens, from) => {
        if (!inside) seen.singles.push(tokens.length);
        return single(row, tokens, from);
      };
      kv.prefillBatch = (first, prompts) => {
        seen.bursts.push(prompts.map(({ length: n }) => n));
        inside = true;
        const logits = batch(first, prompts);
        inside = false;
        return logits;
      };
      return kv;
    },
  });
  return seen;
}

let engine: DecodeEngine;
afterEach(() => engine.audit());

function watched(options: Parameters<typeof fakeEngine>[0] = {}): ReturnType<typeof watch> {
  const made = fakeEngine({ endBias: -100, ...options });
  const seen = watch(made.models.policy);
  ({ engine } = fakeEngine({
    endBias: -100,
    ...options,
    models: new Map(Object.entries(made.models)),
  }));
  return seen;
}

describe('chunks', () => {
  test('a prompt over the budget is read in parts, never a single token alone', async () => {
    for (const iterationTokens of [1, 66, 100]) {
      const seen = watched({ iterationTokens, prefixBytes: 0 });
      for (let length = 2; length < 240; length += length > 60 && length < 70 ? 1 : 3) {
        seen.singles.length = 0;
        await answer(engine, opening({ prompt: prompt(length), maxTokens: 2 }));
        expect(seen.singles.reduce((a, b) => a + b)).toBe(length);
        expect(Math.min(...seen.singles), `${length} by ${iterationTokens}`).toBeGreaterThan(1);
      }
    }
  });

  test('however it is cut, the answer is the same', async () => {
    const asked = opening({ prompt: prompt(200), guides: [['kind', 1]] });
    const answers = [];
    for (const iterationTokens of [1, 64, 65, 100, 1000]) {
      watched({ iterationTokens });
      answers.push(await answer(engine, asked));
    }
    for (const one of answers) expect(one).toEqual(answers[0]);
  });

  test('rows that decode go on while a long prompt is read', async () => {
    watched({ iterationTokens: 66, prefixBytes: 0 });
    await within(engine, opening({ maxTokens: 60 }), async (session) => {
      await advance(session, [session.root], 1);
      const decoding = advance(session, [session.root], 50);
      const long = answer(engine, opening({ prompt: prompt(240), maxTokens: 1 }));
      await turns(4);
      expect(session.root.tokens.length).toBeGreaterThan(3);
      await Promise.all([decoding, long]);
    });
  });

  test('a short prompt does not wait for all long ones before it', async () => {
    watched({ iterationTokens: 64, prefixBytes: 0, classes: [{ length: 256, rows: 16 }] });
    const order: string[] = [];
    const ask = (name: string, length: number, first: number): Promise<unknown> =>
      answer(engine, opening({ prompt: prompt(length, first), maxTokens: 1 })).then(() =>
        order.push(name),
      );
    const long = [1, 2, 3, 4, 5, 6].map((i) => ask('long', 250, i));
    await turns(1);
    await Promise.all([...long, ask('short', 5, 20)]);
    expect(order.indexOf('short')).toBeLessThan(2);
  });
});

describe('bursts', () => {
  test('short prompts that come together are read in one run', async () => {
    const seen = watched();
    await Promise.all(
      [5, 6, 7, 8].map((length) => answer(engine, opening({ prompt: prompt(length, length) }))),
    );
    expect(seen.singles).toEqual([]);
    expect(seen.bursts.flat().toSorted((a, b) => a - b)).toEqual([5, 6, 7, 8]);
    expect(seen.bursts.length).toBeLessThanOrEqual(2);
  });

  test('a long prompt does not make short ones pay for its padding', async () => {
    const seen = watched({ iterationTokens: 512, classes: [{ length: 256, rows: 32 }] });
    const lengths = [200, ...Array.from({ length: 20 }, (_, i) => 3 + (i % 3)), 180];
    await Promise.all(
      lengths.map((length, i) =>
        answer(engine, opening({ prompt: prompt(length, i), maxTokens: 1 })),
      ),
    );
    const padded = seen.bursts.reduce((sum, b) => sum + b.length * Math.max(...b), 0);
    const read = seen.bursts.flat().reduce((a, b) => a + b, 0);
    expect(padded).toBeLessThan(2 * read);
  });

  test('a prompt of one token reads alike alone and in a burst', async () => {
    watched();
    const asked = opening({ prompt: [7] });
    const alone = await answer(engine, asked);
    watched();
    const crowd = [asked, ...[3, 4, 5].map((n) => opening({ prompt: prompt(n) }))];
    const [among] = await Promise.all(crowd.map((o) => answer(engine, o)));
    expect(among).toEqual(alone);
  });
});

describe('equal prompts', () => {
  const same = (seed: number, changes = {}): ReturnType<typeof opening> =>
    opening({ prompt: prompt(30), seed, ...changes });

  test('that come together are read once', async () => {
    const seen = watched();
    await Promise.all([1, 2, 3, 4, 5].map((seed) => answer(engine, same(seed))));
    expect([seen.singles, seen.bursts]).toEqual([[30], []]);
  });

  test('that come later are not read at all, and a longer one only at its end', async () => {
    const seen = watched();
    await answer(engine, same(1));
    await answer(engine, same(2));
    await answer(engine, opening({ prompt: [...prompt(30), 5, 5, 5] }));
    expect(seen.singles).toEqual([30, 3]);
  });

  test('each count as one question to the cache, however long they wait', async () => {
    watched({ iterationTokens: 64, classes: [{ length: 256, rows: 16 }] });
    await Promise.all(
      [1, 2, 3, 4, 5].map((i) => answer(engine, opening({ prompt: prompt(200, i), maxTokens: 1 }))),
    );
    expect(engine.cache.queries).toBe(5);
    await answer(engine, opening({ prompt: prompt(200, 3), maxTokens: 1 }));
    expect([engine.cache.queries, engine.cache.hits]).toEqual([6, 1]);
  });

  test('of which the first reader leaves are read by the next', async () => {
    watched({ iterationTokens: 64, prefixBytes: 0, classes: [{ length: 256, rows: 16 }] });
    const asked = opening({ prompt: prompt(230) });
    const abort = new AbortController();
    const gone = answer(engine, asked, { signal: abort.signal }).catch((error: unknown) => error);
    const stays = answer(engine, asked);
    await turns(2);
    abort.abort(new Error('gone'));
    expect(await gone).toMatchObject({ message: 'gone' });
    expect((await stays).finish).toBe('length');
  });

  test('of other salts are never shared', async () => {
    const seen = watched();
    await answer(engine, same(1));
    await answer(engine, { ...same(1), salt: 'other' });
    expect(seen.singles).toEqual([30, 30]);
  });

  test('under other steering are never shared, of the same one they are', async () => {
    const seen = watched();
    const by = (scale: number) => ({ steering: [{ vector: 'calm', scale }] });
    for (const changes of [{}, by(1), by(2), by(1), {}]) await answer(engine, same(1, changes));
    expect(seen.singles).toEqual([30, 30, 30]);
    seen.singles.length = 0;
    const together = [by(3), by(4), by(3)].map((changes, i) => answer(engine, same(i, changes)));
    await Promise.all(together);
    expect([...seen.singles, ...seen.bursts.flat()]).toEqual([30, 30]);
  });

  test('of twins forked before they were read are read once, cache or not', async () => {
    for (const prefixBytes of [0, 1 << 16]) {
      const seen = watched({ prefixBytes });
      await within(engine, { ...same(1), peak: { least: 4, most: 4 } }, async (session) => {
        await advance(session, session.fork(session.root, 4), 3);
      });
      expect([seen.singles, seen.bursts]).toEqual([[30], []]);
    }
  });
});

test('an abort while a prompt is read gives its rows back at once', async () => {
  watched({ iterationTokens: 64, prefixBytes: 0 });
  const abort = new AbortController();
  const asked = opening({ prompt: prompt(250), maxTokens: 4 });
  const gone = answer(engine, asked, { signal: abort.signal }).catch((error: unknown) => error);
  await turns(2);
  abort.abort(new Error('gone'));
  await turns(1);
  engine.audit();
  expect(engine.load).toMatchObject({ running: 0, kvUsage: 0 });
  await gone;
  await using again = await engine.open(asked, forever);
  expect(again.width).toBe(1);
});
