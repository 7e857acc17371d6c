import { expect, test } from 'vitest';
import type { Peeked } from '../../../src/core/tree.ts';
import { fakeEngine, opening, VOCAB, type Ask } from '../../fakes/engine.ts';
import { fakeVocabulary } from '../../fakes/model.ts';
import { ruleFor } from '../../fakes/rule.ts';
import { neverAborted } from '../../fakes/plan.ts';

/** "b", "d" or "e" come first, the answer goes on; token t spells the t-th letter. */
const RULE = ruleFor(fakeVocabulary(VOCAB), { kind: 'regex', regex: '[bde][a-z]{2}|dz?' });
const [B, D, E] = [2, 4, 5];

async function peeked(ask: Ask): Promise<readonly Peeked[]> {
  const { engine } = fakeEngine();
  await using session = await engine.open(opening(ask), neverAborted());
  return await session.peek(session.root, VOCAB);
}

const byToken = (all: readonly Peeked[]): Peeked[] => all.toSorted((a, b) => a.token - b.token);
const logSumExp = (values: readonly number[]): number =>
  Math.log(values.reduce((sum, value) => sum + Math.exp(value), 0));

test.each([
  ['unguided', []],
  ['guided', [['kind', 1.5] as const]],
])(
  '%s: what the rule leaves is renormalised, and base and log Z stay what they mean',
  async (_, guides) => {
    const free = byToken(await peeked({ guides }));
    const ruled = byToken(await peeked({ guides, rule: RULE }));
    expect(ruled.map(({ token }) => token)).toEqual([B, D, E]);
    const kept = free.filter(({ token }) => [B, D, E].includes(token));
    const mass = logSumExp(kept.map(({ logprob }) => logprob));
    ruled.forEach((next, i) => {
      const before = kept[i]!;
      expect(next.logprob).toBeCloseTo(before.logprob - mass, 6);
      expect(next.draw.base).toBeCloseTo(before.draw.base, 6);
      // The unnormalised score, by which a beam ranks, is untouched.
      expect(next.logprob + next.logZ).toBeCloseTo(before.logprob + before.logZ, 6);
      expect(next.draw.entropy).toBe(before.draw.entropy);
    });
    const kl = ruled.reduce(
      (sum, { logprob, draw }) => sum + Math.exp(logprob) * (logprob - draw.base),
      0,
    );
    for (const { draw } of ruled) expect(draw.kl).toBeCloseTo(kl, 6);
  },
);

test('what is implausible is said among the tokens that the rule leaves', async () => {
  const ruled = await peeked({ rule: RULE });
  const bases = ruled.map(({ draw }) => draw.base).toSorted((a, b) => b - a);
  const share = Math.exp((bases[1]! + bases[2]!) / 2 - bases[0]!); // between the second and the third
  const kept = await peeked({ rule: RULE, plausibility: share });
  expect(kept).toHaveLength(2);
  expect(kept.every(({ draw }) => draw.base >= bases[1]!)).toBe(true);
  expect(kept.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 6);
  expect(await peeked({ rule: RULE, plausibility: 1 })).toHaveLength(1);
});

test('a token is refused where the answer could not be ended any more', async () => {
  const tokens = async (maxTokens: number): Promise<number[]> =>
    byToken(await peeked({ maxTokens, rule: RULE })).map(({ token }) => token);
  expect(await tokens(4)).toEqual([B, D, E]); // "bab" and the end
  expect(await tokens(3)).toEqual([D]); // "d" and the end, or "dz" and the end
  expect(await tokens(2)).toEqual([D]);
});

test('the end comes only where the rule may end, and bias brings nothing refused back', async () => {
  const { engine } = fakeEngine();
  const sampling = { logitBias: [[1, 100] as const, [0, 100] as const] };
  const ask = opening({ rule: RULE, maxTokens: 20, sampling });
  await using session = await engine.open(ask, neverAborted());
  await session.extend([session.root], { tokens: 20 });
  expect(session.root.text).toMatch(/^([bde][a-z]{2}|dz?)$/);
  expect(session.root.finish).toBe('stop');
});

test('twins go their own ways within the rule', async () => {
  const { engine } = fakeEngine();
  const ask = opening({ rule: RULE, peak: 8, maxTokens: 6, sampling: { temperature: 2 } });
  await using session = await engine.open(ask, neverAborted());
  await session.extend([session.root], { tokens: 1 });
  const twins = session.fork(session.root, 8);
  await session.extend(twins, { tokens: 6 });
  const texts = twins.map(({ text }) => text);
  expect(new Set(texts).size).toBeGreaterThan(1);
  for (const text of texts) expect(text).toMatch(/^([bde][a-z]{2}|dz?)$/);
});
