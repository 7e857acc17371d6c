/** The scalar-head variant: right against the definition, and the same bits in any batch. */

import { expect, test } from 'vitest';
import { randomCheckpoint, scores, session, tokens } from './checkpoint.ts';
import { Reference } from './reference.ts';

const checkpoint = randomCheckpoint({ score: true, seed: 3 });
const rows = [tokens(11, 1), tokens(2, 2), tokens(30, 3), tokens(30, 4), tokens(17, 5)];

test('scores are those of the definition, read at the last real token', async () => {
  const model = await session(checkpoint, { weights: 'float32', layout: 'cached' });
  const reference = new Reference(checkpoint.source);
  const found = await scores(model, checkpoint, rows);
  rows.forEach((row, i) => expect(found[i]).toBeCloseTo(reference.score(row), 4));
});

test.each(['float32', 'int8'] as const)(
  '%s: a batch changes no bit of a score',
  async (weights) => {
    const model = await session(checkpoint, { weights, layout: 'cached' });
    const together = await scores(model, checkpoint, rows);
    for (const [i, row] of rows.entries()) {
      expect(await scores(model, checkpoint, [row])).toEqual([together[i]]);
      expect(await scores(model, checkpoint, [row, row], 50)).toEqual([together[i], together[i]]);
    }
  },
);

test('a single token keeps its bits if it is padded to two', async () => {
  const model = await session(checkpoint, { weights: 'int8', layout: 'cached' });
  const [inBatch] = await scores(model, checkpoint, [[5], ...rows]);
  expect(await scores(model, checkpoint, [[5]], 2)).toEqual([inBatch]);
});

test('8-bit scores stay close to float32', async () => {
  const [exact, close] = await Promise.all(
    (['float32', 'int8'] as const).map(async (weights) =>
      scores(await session(checkpoint, { weights, layout: 'cached' }), checkpoint, rows),
    ),
  );
  exact!.forEach((score, i) => expect(Math.abs(score - close![i]!)).toBeLessThan(0.1));
});

test('a head that says probabilities gives the sigmoid of the number, with the same bits in any batch', async () => {
  const { head } = checkpoint.spec;
  if (head.kind !== 'scalar') throw new Error('the checkpoint has no scalar head');
  const telling = {
    ...checkpoint,
    spec: { ...checkpoint.spec, head: { ...head, probability: true } },
  };
  const options = { weights: 'int8', layout: 'cached' } as const;
  const [plain, model] = [await session(checkpoint, options), await session(telling, options)];
  const numbers = await scores(plain, checkpoint, rows);
  const together = await scores(model, telling, rows);
  for (const [i, row] of rows.entries()) {
    expect(together[i]).toBeCloseTo(1 / (1 + Math.exp(-numbers[i]!)), 6);
    expect(await scores(model, telling, [row])).toEqual([together[i]]);
  }
});
