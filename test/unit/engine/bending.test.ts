/** Laws that others bend: their arithmetic, and that bending costs no request its bytes, its slots or its end. */

import { describe, expect, test } from 'vitest';
import type { Bend } from '../../../src/core/guide.ts';
import type { Branch, Peeked } from '../../../src/core/tree.ts';
import { bentLaw } from '../../../src/engine/bending.ts';
import { advance, answer, within } from '../../fakes/drive.ts';
import { fakeEngine, opening, type Ask } from '../../fakes/engine.ts';
import { hashReward } from '../../fakes/rewarded.ts';
import { vectorCase } from '../../fakes/vectors.ts';
import { sameSeedSameAnswer } from '../../laws/engine.ts';

const RECORD = { top: 2, guides: true };

const peeked = (token: number, logprob: number): Peeked => ({
  token,
  logprob,
  logZ: 0,
  bias: 0,
  ends: false,
  draw: { token, logprob, base: logprob, kl: 0, entropy: 1, guides: [], top: [] },
});

describe('the bent law is that of the vectors', () => {
  const FILE = 'token_guidance.json';
  interface Input {
    readonly base_logits: number[];
    readonly prefix_values?: number[];
    readonly classifier_prob?: number[];
    readonly lam: number;
  }
  test.each(['controlled_decoding_token', 'fudge_log_prob_values'])('%s', (name) => {
    const { input, expected } = vectorCase<Input, { probs: number[] }>(FILE, name);
    const norm = Math.log(input.base_logits.reduce((sum, x) => sum + Math.exp(x), 0));
    const next = input.base_logits.map((logit, token) => peeked(token, logit - norm));
    const values = input.prefix_values ?? input.classifier_prob!.map(Math.log);
    const added = values.map((value) => ({ value: input.lam * value, guides: [value] }));
    const law = bentLaw(next, added, RECORD);
    expect(law).toHaveLength(4);
    law.forEach(({ token, logprob, draw, logZ }, i) => {
      expect(Math.abs(Math.exp(logprob) - expected.probs[token]!)).toBeLessThan(1e-9);
      if (i > 0) expect(logprob).toBeLessThanOrEqual(law[i - 1]!.logprob);
      expect(draw).toMatchObject({ token, logprob, guides: [values[token]], entropy: 1 });
      expect(draw.top.map((one) => one.token)).toEqual(law.slice(0, 2).map((one) => one.token));
      const kl = law.reduce(
        (sum, one) => sum + Math.exp(one.logprob) * (one.logprob - one.draw.base),
        0,
      );
      expect(draw.kl).toBeCloseTo(kl, 12);
      expect(logprob + logZ).toBeCloseTo(draw.base + input.lam * values[token]!, 12);
    });
  });

  test('what has no value cannot be taken', () => {
    const next = [peeked(3, -1), peeked(1, -2), peeked(2, -3)];
    const law = bentLaw(
      next,
      [NaN, 0, 0].map((value) => ({ value, guides: [] })),
      RECORD,
    );
    expect(law.map(({ token }) => token)).toEqual([1, 2]);
    expect(law.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 12);
  });
});

/** Bends by a hash of the answer with the token; answers after some turns of the event loop. */
function hashBend(changes: Partial<Bend> = {}): Bend & { readonly asked: (readonly Branch[])[] } {
  const asked: (readonly Branch[])[] = [];
  return {
    asked,
    k: 5,
    applies: () => true,
    async add(continuations) {
      asked.push(continuations);
      for (let i = 0; i < 1 + (asked.length % 3); i++)
        await new Promise((resolve) => setImmediate(resolve));
      return continuations.map((branch) => {
        const value = 3 * hashReward(branch);
        return { value, guides: [value] };
      });
    },
    ...changes,
  };
}

const bent = (bend: Bend, ask: Ask = {}) => ({ ...opening({ maxTokens: 12, ...ask }), bend });

test('a peek shows the bent law, and a draw comes from it', async () => {
  const bend = hashBend();
  const { engine } = fakeEngine();
  await within(engine, bent(bend, { guides: [['kind', 1]], maxTokens: 4 }), async (session) => {
    const law = await session.peek(session.root, 5);
    expect(law).toHaveLength(5);
    expect(law.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 6);
    expect((await session.peek(session.root, 2)).map(({ token }) => token)).toEqual(
      law.slice(0, 2).map(({ token }) => token),
    );
    await advance(session, [session.root], 1);
    const [draw] = session.root.draws;
    const shown = law.find(({ token }) => token === draw!.token)!;
    expect(draw).toEqual(shown.draw);
    expect(draw!.guides).toHaveLength(2); // the guide's, then the value
    expect(session.root.logprob).toBe(shown.logprob);
    expect(session.root.logZ).toBe(shown.logZ);
  });
  const [first] = bend.asked;
  expect(first!.map(({ tokens }) => tokens.length)).toEqual([1, 1, 1, 1, 1]);
  engine.audit();
});

test('at temperature 0 the best value on the likeliest tokens wins', async () => {
  const { engine } = fakeEngine();
  const favourite = (token: number): Bend =>
    hashBend({
      add: (continuations) =>
        Promise.resolve(
          continuations.map(({ tokens }) => ({
            value: tokens.at(-1) === token ? 1000 : 0,
            guides: [],
          })),
        ),
    });
  const law = await within(engine, opening({}), (session) => session.peek(session.root, 5));
  for (const { token } of law) {
    const drawn = await answer(
      engine,
      bent(favourite(token), { sampling: { temperature: 0 }, maxTokens: 1 }),
    );
    expect(drawn.tokens).toEqual([token]);
  }
});

test('sampling rules hold for a bent law: a bias, a penalty, top-k, temperature', async () => {
  const { engine } = fakeEngine();
  const law = await within(engine, bent(hashBend()), (session) => session.peek(session.root, 5));
  const drawn = async (sampling: NonNullable<Ask['sampling']>) =>
    (await answer(engine, bent(hashBend(), { sampling, maxTokens: 1 }))).tokens[0];
  expect(await drawn({ topK: 1 })).toBe(law[0]!.token);
  expect(await drawn({ minP: 1 })).toBe(law[0]!.token);
  const banned = law.slice(0, 4).map(({ token }) => [token, -100] as const);
  expect(await drawn({ logitBias: banned })).toBe(law[4]!.token);
  expect(await drawn({ temperature: 0.01 })).toBe(law[0]!.token);
});

test('same seed, same answer: alone and in a crowd of bent and plain requests', async () => {
  const asks = Array.from({ length: 12 }, (_, i) => ({
    ...opening({ maxTokens: 10, guides: i % 3 === 0 ? [['kind', 0.5]] : [] }),
    seed: BigInt(i),
    bend: i % 2 === 0 ? hashBend({ k: 3 + i }) : null,
  }));
  await sameSeedSameAnswer(() => fakeEngine().engine, asks, [{}, { iterationTokens: 8 }]);
});

test('where it does not apply nothing is asked, and the law stays whole', async () => {
  const bend = hashBend({ applies: () => false });
  const plain = await answer(fakeEngine().engine, opening({ maxTokens: 12 }));
  expect(await answer(fakeEngine().engine, bent(bend))).toEqual(plain);
  expect(bend.asked).toEqual([]);
});

test('an abort while others judge gives every slot back, and what they say later is not heard', async () => {
  const { engine } = fakeEngine();
  const abort = new AbortController();
  let say = (): void => undefined;
  const slow = hashBend({
    add: (continuations) =>
      new Promise((resolve) => {
        say = () => resolve(continuations.map(() => ({ value: 0, guides: [] })));
        abort.abort(new Error('gone'));
      }),
  });
  await expect(answer(engine, bent(slow), { signal: abort.signal })).rejects.toThrow('gone');
  engine.audit();
  say();
  await new Promise((resolve) => setImmediate(resolve));
  engine.audit();
  expect((await answer(engine, opening({ maxTokens: 3 }))).tokens.length).toBeGreaterThan(0);
});

test('who cannot judge fails the request that asked, and no other', async () => {
  const { engine } = fakeEngine();
  const broken = hashBend({ add: () => Promise.reject(new Error('broken')) });
  const silent = hashBend({
    add: (some) => Promise.resolve(some.map(() => ({ value: NaN, guides: [] }))),
  });
  const [bad, none, good] = await Promise.allSettled([
    answer(engine, bent(broken)),
    answer(engine, bent(silent)),
    answer(engine, bent(hashBend())),
  ]);
  expect(bad).toMatchObject({ reason: new Error('broken') });
  expect(none).toMatchObject({ reason: { code: 'reward_failed' } });
  expect(good.status).toBe('fulfilled');
  engine.audit();
});
