import { expect, test, vi } from 'vitest';
import { loadScorer } from '../../../src/runtime/scorer.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { loadCodec } from '../../../src/runtime/text/tokenizer.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { Turns } from '../../../src/rewards/turns.ts';
import { TALES, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { candidate } from '../../fakes/reward.ts';
import { idleTurns } from '../../fakes/turns.ts';

const PACK = TALES.replace(/tales$/, 'rm-happy-a');
const OPENING = 'Once upon a time, there was a boy named Tom. Tom';
const ANSWERS = [
  ' was very happy. He smiled and laughed with joy. He loved his friends.',
  ' was sad. He cried and cried. He was scared and alone.',
  ' went home.',
  '',
];

function packReward(runTokens: number, keepBytes = 0, turns = idleTurns()) {
  const codec = loadCodec(PACK);
  const model = closing(loadScorer(cpu(testOrt()), PACK, 'rm-happy-a', keepBytes));
  const reward = scalarHead({ model, codec, reads: 'prefix', runTokens, turns });
  const readings = { 'rm-happy-a': codec.prompt(OPENING) };
  const batch = ANSWERS.flatMap((text) =>
    [true, false].map((complete) => candidate(text, { readings, complete })),
  );
  return { model, reward, batch };
}

test('a score does not depend on the batch, the runs or the padding', async () => {
  const { reward, batch } = packReward(4096);
  const together = await reward.score(batch);
  const apart = await packReward(1).reward.score(batch);
  expect(apart).toEqual(together);
  expect(await packReward(300, 4 << 20).reward.score(batch)).toEqual(together);
  expect(await packReward(8, 64 << 20).reward.score(batch)).toEqual(together);
  for (const [i, one] of batch.entries())
    expect((await reward.score([one]))[0]).toEqual(together[i]);
});

test('long texts are read in pieces by a model that keeps them, and whole where others take their room away', async () => {
  const { reward, batch } = packReward(4096);
  const expected = await reward.score(batch);
  const { model, reward: slow } = packReward(8, 2 << 20); // one row
  const reads = vi.spyOn(model, 'readOn');
  const [one, other] = await Promise.all([slow.score(batch), slow.score(batch.toReversed())]);
  expect(one).toEqual(expected);
  expect(other.toReversed()).toEqual(expected);
  expect(reads).toHaveBeenCalled();
  for (const [, tokens] of reads.mock.calls) expect(tokens).toBe(8);
});

test('a score does not depend on what is decoded beside it, and for how long', async () => {
  const { reward, batch } = packReward(4096);
  const expected = await reward.score(batch);
  let [tick, decoding] = [0, true];
  const turns = new Turns({ share: 1, now: () => (tick += 1) });
  const iterate = (): void => {
    turns.decoded((tick * 7) % 23);
    if (decoding) setImmediate(iterate);
  };
  iterate();
  expect(await packReward(64, 64 << 20, turns).reward.score(batch)).toEqual(expected);
  expect(await packReward(64, 0, turns).reward.score(batch)).toEqual(expected);
  decoding = false;
});

test('the pack’s reward prefers what it was taught to', async () => {
  const { reward, batch } = packReward(256);
  const [happy, , sad] = await reward.score(batch);
  expect(happy!.value).toBeGreaterThan(sad!.value);
});

test('a graph without a scalar head is refused with its folder', () => {
  const folder = tinyFolder();
  expect(() => loadScorer(cpu(testOrt()), folder, 'tiny', 0)).toThrow(folder);
});

test.each(['rm-happy-a', 'rm-kind-b', 'rm-kind-c'])(
  '%s: what was kept, and for how few rows, never shows in a score',
  (name) => {
    const folder = TALES.replace(/tales$/, name);
    const whole = closing(loadScorer(cpu(testOrt()), folder, name, 0));
    const text = loadCodec(folder).prompt(OPENING + ANSWERS.join(''));
    /** Growing answers with their alternatives, as a search asks about them, and texts that have nothing in common. */
    const asked = Array.from({ length: 40 }, (_, i) => {
      const length = [20 + i, 20 + i, 19 + i, 1 + (i % 4), 30][i % 5]!;
      const from = i % 7 === 0 ? 3 : 0;
      const row = text.slice(from, from + length);
      return i % 2 === 0 ? row : [...row.slice(0, -1), 40 + i];
    });
    const expected = asked.map((row) => whole.score([row])[0]!);
    for (const keepBytes of [2 << 20, 64 << 20]) {
      const keeping = closing(loadScorer(cpu(testOrt()), folder, name, keepBytes));
      asked.forEach((row, i) => {
        const missing = keeping.missing(row);
        expect(missing).toBeGreaterThanOrEqual(Math.min(2, row.length));
        expect(keeping.score([row])[0], `row ${i}, ${missing} of ${row.length} read`).toBe(
          expected[i],
        );
      });
      expect([...keeping.score(asked)]).toEqual(expected);
      const grown = text.slice(0, 60);
      keeping.score([grown]);
      expect(keeping.missing([...grown.slice(0, 59), 77])).toBe(2);
      expect(keeping.missing([...grown, 9, 9, 9])).toBe(3);
    }
  },
);
