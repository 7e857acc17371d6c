/** A policy that tells the states of its layers, from its folder to the branches of a search. */

import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bend } from '../../../src/core/guide.ts';
import type { Branch } from '../../../src/core/tree.ts';
import { DecodeEngine } from '../../../src/engine/engine.ts';
import { laneWeights } from '../../../src/guides/lane_weights.ts';
import { openSources } from '../../../src/importer/sources.ts';
import { readManifest } from '../../../src/ops/manifest.ts';
import { tailsOf } from '../../../src/runtime/tail.ts';
import { loadCodec } from '../../../src/runtime/text/tokenizer.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { opening } from '../../fakes/engine.ts';
import { decoder, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { neverAborted, planOf, ran, type Choice, type PlanAsk } from '../../fakes/plan.ts';
import { fakeRules } from '../../fakes/rule.ts';
import { TINY } from '../../support/random_llama.ts';
import { Reference } from '../importer/reference.ts';

const plain = tinyFolder({}, 'float32');
const telling = tinyFolder({}, 'float32', { layerStates: true });
const models = new Map([['policy', decoder(telling)]]);
const { vocabulary } = loadCodec(telling);

function engineOf(options: { prefixBytes?: number; iterationTokens?: number } = {}): DecodeEngine {
  const rows = 16;
  return closing(
    new DecodeEngine({
      models,
      tails: closing(tailsOf(testOrt(), { vocab: TINY.vocab, banned: vocabulary.banned, rows })),
      vocabulary,
      laneWeights,
      vectors: new Map(),
      ruleOf: fakeRules(vocabulary),
      classes: [{ length: TINY.context, rows }],
      iterationTokens: 64,
      prefixBytes: 1 << 20,
      queue: 8,
      now: () => 0,
      ...options,
    }),
  );
}

test('the manifest says so, and the model that is loaded says where; texts are judged as without', () => {
  expect(readManifest(plain).shape).not.toHaveProperty('states');
  expect(readManifest(telling).shape).toMatchObject({ states: TINY.hidden });
  const [before, after] = [decoder(plain), decoder(telling)];
  expect(before.states).toBeNull();
  const columns = { from: TINY.vocab, layers: TINY.layers + 1, width: TINY.hidden };
  expect(after.states).toEqual(columns);
  const asked = [{ tokens: [5, 6, 7, 8], picks: [1, 3].map((at) => ({ after: at, token: 9 })) }];
  const said = [before, after].map((model) => closing(model.texts(TINY.vocab)).logProbs(asked));
  expect(said[1]).toEqual(said[0]);
});

/** Asks others about each law, who find nothing to add. */
const bend: Bend = {
  k: 4,
  applies: () => true,
  add: async (branches) => branches.map(() => ({ value: 0, guides: [] })),
};

test.each([
  ['as the law is', null],
  ['as values bend it', bend],
])(
  'drawn %s: branches sum up the states of their own tokens, twins from where they parted, parked or not',
  async (_, bent) => {
    const reference = new Reference(
      openSources({ from: join(dirname(telling), 'checkpoint'), role: 'policy' }).weights,
    );
    const prompt = [40, 41, 42, 43, 44];
    const ask = { ...opening({ prompt, maxTokens: 30, peak: 3, states: true }), bend: bent };
    await using session = await engineOf().open(ask, neverAborted());
    const { root } = session;
    expect(root.states).toBeNull();
    await session.extend([root], { tokens: 4 });
    const twins = session.fork(root, 3);
    await session.extend(twins, { tokens: 3 });
    session.park(twins.slice(1, 2));
    await session.extend(twins, { tokens: 2 });
    const check = ({ tokens, states }: Branch): void =>
      reference.layers([...prompt, ...tokens.slice(0, -1)]).forEach((layer, l) => {
        const drawnFrom = layer.slice(prompt.length - 1);
        states![l]!.forEach((sum, i) => {
          const own = drawnFrom.reduce((total, state) => total + state[i]!, 0);
          expect(Math.abs(sum - own)).toBeLessThan(1e-4);
        });
      });
    for (const twin of twins) {
      expect(twin.tokens).toHaveLength(9);
      expect(twin.states).toHaveLength(TINY.layers + 1);
      check(twin);
    }
  },
);

test('who did not ask for them has none', async () => {
  await using session = await engineOf().open(opening({ prompt: [1, 2, 3] }), neverAborted());
  await session.extend([session.root], { tokens: 3 });
  expect(session.root.states).toBeNull();
});

test('self-truncation elects the same answer alone and in traffic', async () => {
  const context = { maxTokens: 24, judged: false, layerStates: true };
  const params = strategies['best_of_n']!.parse(
    { n: 4, prune: { type: 'self_truncation' } },
    context,
  );
  const planFor = (seed: number) => {
    const ask: PlanAsk = { strategy: 'best_of_n', params, maxTokens: 24, seed, states: true };
    return planOf({ ...ask, prompt: [60 + seed, 61, 62, 63, 64, 65] });
  };
  const seeds = [1, 2, 3, 4];
  const alone: Choice[] = [];
  for (const seed of seeds) alone.push((await ran(engineOf(), planFor(seed))).choices[0]!);
  expect(new Set(alone.map(({ text }) => text)).size).toBe(seeds.length);
  for (const options of [{}, { prefixBytes: 0, iterationTokens: 24 }]) {
    const engine = engineOf(options);
    const crowd = await Promise.all(seeds.map((seed) => ran(engine, planFor(seed))));
    crowd.forEach(({ choices: [choice], bugs }, i) => {
      expect(bugs).toEqual([]);
      expect(choice!.text).toBe(alone[i]!.text);
      expect(choice!.draws).toEqual(alone[i]!.draws);
      expect(choice!.report!.candidates).toEqual(alone[i]!.report!.candidates);
      expect(choice!.report!.savedTokens).toBeGreaterThan(0);
    });
    engine.audit();
  }
});
