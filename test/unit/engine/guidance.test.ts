import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuideUse } from '../../../src/core/guide.ts';
import type { DecodeEngine } from '../../../src/engine/engine.ts';
import { advance, answer, within } from '../../fakes/drive.ts';
import { fakeEngine, opening, type Ask } from '../../fakes/engine.ts';
import { fakeModel, type FakeModel } from '../../fakes/model.ts';

let engine: DecodeEngine;
let models: Record<'policy' | 'kind' | 'bold', FakeModel>;
beforeEach(() => {
  ({ engine, models } = fakeEngine({ endBias: -100 }));
});
afterEach(() => engine.audit());

const use = (plus: number, weight: number, changes: Partial<GuideUse> = {}): GuideUse => ({
  plus,
  minus: null,
  weight,
  entropyAbove: null,
  ...changes,
});

const GUIDED: Ask = {
  guides: [
    ['kind', 1.5],
    ['bold', -0.5],
  ],
};

describe('without weight', () => {
  test('a guide never runs, and the answer is the unguided one bit for bit', async () => {
    const guided = await answer(engine, opening({ guides: [['kind', 0]] }));
    expect(models.kind.work).toMatchObject({ steps: 0, prefills: 0 });
    const plain = await answer(engine, opening());
    expect(guided.tokens).toEqual(plain.tokens);
    expect(guided.draws.map(({ logprob }) => logprob)).toEqual(
      plain.draws.map(({ logprob }) => logprob),
    );
  });

  test('two uses of one guide that cancel out skip it too', async () => {
    const uses = [use(1, 0.7), use(1, -0.7)];
    await answer(engine, opening({ guides: [['kind', 0]], uses }));
    expect(models.kind.work.steps).toBe(0);
  });

  test('an unguided draw has the same log-prob under the guided and the base law', async () => {
    const { draws, logprob, base, logZ } = await answer(engine, opening());
    for (const draw of draws) expect(draw.base).toBe(draw.logprob);
    expect([base, logZ]).toEqual([logprob, 0]);
  });
});

describe('explained', () => {
  test('each draw: sum of weight * guide - log Z = guided - base', async () => {
    const { draws, logprob, base, logZ } = await answer(engine, opening(GUIDED));
    let bent = 0;
    for (const { guides } of draws) bent += 1.5 * guides[0]! - 0.5 * guides[1]!;
    expect(bent - logZ).toBeCloseTo(logprob - base, 4);
    for (const draw of draws) expect(draw.kl).toBeGreaterThan(0);
  });

  test('a density ratio counts as one number, log plus - log minus', async () => {
    const guides = [
      ['kind', 0],
      ['bold', 0],
    ] as const;
    const single = opening({ guides, uses: [use(1, 2), use(2, -2)], maxTokens: 1 });
    const ratio = opening({ guides, uses: [use(1, 2, { minus: 2 })], maxTokens: 1 });
    const [two, one] = [await answer(engine, single), await answer(engine, ratio)];
    expect(one.tokens).toEqual(two.tokens);
    const [plus, minus] = two.draws[0]!.guides;
    expect(one.draws[0]!.guides).toEqual([plus! - minus!]);
  });

  test('a ratio over the policy itself at weight 1 follows the guide alone, and steps no extra model', async () => {
    const uses = [use(1, 1, { minus: 0 })];
    const asked = opening({ guides: [['kind', 0]], uses, sampling: { temperature: 0 } });
    const { draws } = await answer(engine, asked);
    for (const { logprob, base, guides } of draws)
      expect(logprob).toBeCloseTo(guides[0]! + base, 4);
  });

  test('the likeliest tokens are those of the guided law, best first', async () => {
    const { draws } = await answer(
      engine,
      opening({ ...GUIDED, top: 5, sampling: { temperature: 0 } }),
    );
    for (const { top, token, logprob } of draws) {
      expect(top).toHaveLength(5);
      expect(top[0]).toEqual({ token, logprob });
      const logprobs = top.map((next) => next.logprob);
      expect(logprobs).toEqual(logprobs.toSorted((a, b) => b - a));
    }
  });
});

describe('in one iteration', () => {
  test('rows with different guides share one forward pass of the policy', async () => {
    await Promise.all(
      (['kind', 'bold'] as const).flatMap((guide, i) => [
        answer(engine, opening({ guides: [[guide, 1]], seed: i, prompt: [9, i + 1, 3] })),
        answer(engine, opening({ seed: i, prompt: [8, i + 1, 3] })),
      ]),
    );
    expect(models.policy.work).toMatchObject({ steps: 19, rows: 4 * 19 });
    expect(models.kind.work).toMatchObject({ steps: 19, rows: 19 });
    expect(models.bold.work).toMatchObject({ steps: 19, rows: 19 });
  });

  test('guides whose weights are padded to other widths share it too', async () => {
    const padded = {
      policy: fakeModel('policy', { endBias: -100 }),
      kind: fakeModel('kind', { endBias: -100, width: 29 }),
      bold: fakeModel('bold', { endBias: -100, width: 32 }),
    };
    ({ engine } = fakeEngine({ models: new Map(Object.entries(padded)) }));
    const asked = (['kind', 'bold'] as const).flatMap((guide, i) =>
      [1, 2].map((seed) => opening({ guides: [[guide, 1]], seed, prompt: [9, i + 1, 3] })),
    );
    const crowd = await Promise.all(asked.map((o) => answer(engine, o)));
    for (const [i, o] of asked.entries()) expect(await answer(engine, o)).toEqual(crowd[i]);
  });
});

describe('max_kl', () => {
  const strong: Ask = { guides: [['kind', 6]], maxTokens: 40 };

  test.each([0.1, 1, 3])(
    '%d nats hold, and are used up where guidance wants more',
    async (maxKl) => {
      const free = await answer(engine, opening(strong));
      const { draws } = await answer(engine, opening({ ...strong, maxKl }));
      expect(Math.max(...free.draws.map(({ kl }) => kl))).toBeGreaterThan(maxKl);
      for (const { kl } of draws) expect(kl).toBeLessThanOrEqual(maxKl);
      // The first draw has the same past: where it was cut, it is cut to the bound within 2^-16 of the scale.
      if (free.draws[0]!.kl > maxKl) expect(draws[0]!.kl).toBeGreaterThan(maxKl * 0.999);
      else expect(draws[0]!.kl).toBe(free.draws[0]!.kl);
    },
  );

  test('0 nats leave the policy as it is', async () => {
    const bound = await answer(engine, opening({ ...strong, maxKl: 0 }));
    const plain = await answer(engine, opening({ maxTokens: 40 }));
    expect(bound.tokens).toEqual(plain.tokens);
    for (const { kl } of bound.draws) expect(kl).toBeCloseTo(0, 6);
  });

  test('a row that is cut does not change its neighbours', async () => {
    const asked = [
      opening({ ...strong, maxKl: 0.2, seed: 1 }),
      opening({ ...strong, seed: 2 }),
      opening({ ...strong, maxKl: 2, seed: 3, sampling: { temperature: 0.5 } }),
      opening({ ...strong, maxKl: 0.5, seed: 4 }),
      opening({ ...strong, seed: 5, uses: [use(1, 2, { entropyAbove: 3 }), use(1, 1)] }),
      opening({ ...strong, maxKl: 1, seed: 6, uses: [use(1, 2, { entropyAbove: 3 }), use(1, 1)] }),
    ];
    const crowd = await Promise.all(asked.map((o) => answer(engine, o)));
    for (const [i, o] of asked.entries()) expect(await answer(engine, o)).toEqual(crowd[i]);
  });

  test('peeking shows the law that the token is drawn from', async () => {
    await within(engine, opening({ ...strong, maxKl: 0.2, maxTokens: 5 }), async (session) => {
      for (let i = 0; i < 5; i++) {
        const top = await session.peek(session.root, 27);
        await advance(session, [session.root], 1);
        const { token, logprob } = session.root.draws.at(-1)!;
        expect(top.find((next) => next.token === token)?.logprob).toBe(logprob);
      }
    });
  });
});

describe('plausibility', () => {
  test('leaves out what the policy finds less likely than that share of its likeliest, whatever guides want', async () => {
    const ask = { guides: [['bold', 5]] as const, top: 27 };
    const shown = async (plausibility: number) =>
      within(engine, opening({ ...ask, plausibility }), (session) =>
        session.peek(session.root, 27),
      );
    const [all, kept] = [await shown(0), await shown(0.3)];
    const likeliest = Math.max(...all.map(({ draw }) => draw.base));
    const plausible = all.filter(({ draw }) => draw.base >= likeliest + Math.log(0.3));
    expect(kept.map(({ token }) => token)).toEqual(plausible.map(({ token }) => token));
    expect(kept.length).toBeLessThan(all.length);
    expect(kept.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 5);
    kept.forEach((one, i) => {
      expect(one.draw.base).toBeCloseTo(plausible[i]!.draw.base, 5);
      expect(one.logprob + one.logZ).toBeCloseTo(plausible[i]!.logprob + plausible[i]!.logZ, 4);
    });
  });

  test('of 1 is the policy’s greedy answer, guided or not', async () => {
    const greedy = await answer(engine, opening({ sampling: { temperature: 0 } }));
    for (const guides of [[], [['kind', 3]]] as const)
      expect((await answer(engine, opening({ guides, plausibility: 1 }))).tokens).toEqual(
        greedy.tokens,
      );
  });

  test('of 0 changes no bit', async () => {
    expect(await answer(engine, opening({ ...GUIDED, plausibility: 0 }))).toEqual(
      await answer(engine, opening(GUIDED)),
    );
  });
});

test('an entropy mask guides only where the policy is unsure', async () => {
  const plain = await answer(engine, opening({ maxTokens: 40 }));
  const entropies = plain.draws.map(({ entropy }) => entropy).toSorted((a, b) => a - b);
  const bound = entropies[20]!;
  const uses = [use(1, 2, { entropyAbove: bound })];
  const { draws } = await answer(engine, opening({ guides: [['kind', 0]], uses, maxTokens: 40 }));
  expect(draws.filter(({ entropy }) => entropy > bound).length).toBeGreaterThan(5);
  expect(draws.filter(({ entropy }) => entropy <= bound).length).toBeGreaterThan(5);
  for (const { entropy, kl } of draws)
    if (entropy > bound) expect(kl).toBeGreaterThan(0);
    else expect(kl).toBeCloseTo(0, 6);
});

describe('a guide that joins late', () => {
  const late = opening({ guides: [['kind', 0]], peak: 2, maxTokens: 12 });
  const joined = [use(1, 2)];

  test('reads the prompt and what was drawn since, once, and only then counts', async () => {
    await within(engine, late, async (session) => {
      await advance(session, [session.root], 5);
      expect(models.kind.work.prefillTokens).toBe(0);
      await advance(session, [session.root], 1, { guides: joined });
      expect(models.kind.work).toMatchObject({ prefillTokens: 4 + 5, steps: 0 });
      await advance(session, [session.root], 1, { guides: joined });
      expect(models.kind.work).toMatchObject({ prefillTokens: 9, steps: 1 });
      expect(session.root.draws.map(({ kl }) => kl > 0)).toEqual(
        Array.from({ length: 7 }, (_, i) => i >= 5),
      );
    });
  });

  test.each([0, 1, 2, 5])(
    'after %d tokens it says the same alone and in a crowd',
    async (before) => {
      const run = (seed: number): Promise<readonly number[]> =>
        within(engine, { ...late, seed: BigInt(seed) }, async (session) => {
          await advance(session, [session.root], before);
          await advance(session, [session.root], 2, { guides: joined });
          await advance(session, [session.root], 2);
          await advance(session, [session.root], 20, { guides: joined });
          return session.root.draws.map(({ logprob }) => logprob);
        });
      const crowd = await Promise.all([1, 2, 3, 4, 5].map(run));
      for (const [i, seed] of [1, 2, 3, 4, 5].entries()) expect(await run(seed)).toEqual(crowd[i]);
    },
  );
});
