import { expect, test } from 'vitest';
import { loadScorer } from '../../../src/runtime/scorer.ts';
import { loadCodec } from '../../../src/runtime/tokenizer.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { Turns } from '../../../src/rewards/turns.ts';
import { TALES, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { candidate } from '../../fakes/reward.ts';

const PACK = TALES.replace(/tales$/, 'rm-happy-a');
const OPENING = 'Once upon a time, there was a boy named Tom. Tom';
const ANSWERS = [
  ' was very happy. He smiled and laughed with joy. He loved his friends.',
  ' was sad. He cried and cried. He was scared and alone.',
  ' went home.',
  '',
];

function packReward(runTokens: number) {
  const codec = loadCodec(PACK);
  const model = closing(loadScorer(testOrt(), PACK, 'rm-happy-a'));
  const reward = scalarHead({ model, codec, reads: 'prefix', runTokens, turns: new Turns() });
  const readings = { 'rm-happy-a': codec.prompt(OPENING) };
  const batch = ANSWERS.flatMap((text) =>
    [true, false].map((complete) => candidate(text, { readings, complete })),
  );
  return { reward, batch };
}

test('a score does not depend on the batch, the runs or the padding', async () => {
  const { reward, batch } = packReward(4096);
  const together = await reward.score(batch);
  const apart = await packReward(1).reward.score(batch);
  expect(apart).toEqual(together);
  for (const [i, one] of batch.entries())
    expect((await reward.score([one]))[0]).toEqual(together[i]);
});

test('the pack’s reward prefers what it was taught to', async () => {
  const { reward, batch } = packReward(256);
  const [happy, , sad] = await reward.score(batch);
  expect(happy!.value).toBeGreaterThan(sad!.value);
});

test('a graph without a scalar head is refused with its folder', () => {
  const folder = tinyFolder();
  expect(() => loadScorer(testOrt(), folder, 'tiny')).toThrow(folder);
});
