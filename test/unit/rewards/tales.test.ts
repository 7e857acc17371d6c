/** The default pack's policy as a judge: it was taught follow-up lines and judgements (models/recipes). */

import { expect, test } from 'vitest';
import type { Candidate, RewardSource } from '../../../src/core/reward.ts';
import { scoreCache } from '../../../src/rewards/cached.ts';
import { reader } from '../../../src/rewards/reader.ts';
import { opened } from '../../../src/rewards/sources.ts';
import { answer } from '../../fakes/drive.ts';
import { opening } from '../../fakes/engine.ts';
import { decoder, TALES, talesCodec, talesEngine } from '../../fakes/models.ts';
import { closing } from '../../fakes/ort.ts';
import { candidate } from '../../fakes/reward.ts';
import { idleTurns } from '../../fakes/turns.ts';

const OPENING =
  'Once upon a time, there was a boy named Tom. Tom had a friend, a shy girl named Ida. Tom lost his kite.';
const HAPPY =
  ' Ida was kind. She helped Tom look. They found the kite by the tree. Tom was so happy. They laughed and played all day.';
const SAD =
  ' Ida was mean. She laughed at Tom. The kite was gone for good. Tom was very sad. He cried and went home alone.';

const codec = talesCodec();
const prompt = codec.prompt(OPENING);
const by = { model: 'tales', reading: 'tales' };
const [yes, no] = ['<|yes|>', '<|no|>'].map((name) =>
  codec.vocabulary.banned.find((token) => codec.vocabulary.piece(token) === name)!,
);

function loaded(runTokens = 256) {
  const readers = ['tales', 'arm-happy'].map((name) => {
    const model = closing(
      decoder(TALES.replace(/tales$/, name), name).texts(codec.vocabulary.size),
    );
    return [
      name,
      reader({ model, codec, runTokens, turns: idleTurns(), timeoutMs: 60_000 }),
    ] as const;
  });
  return {
    models: new Map(),
    personal: new Map(),
    remotes: new Map(),
    readers: new Map(readers),
    writers: new Map(),
    cache: scoreCache(0),
    now: () => 0,
  };
}

const told = (text: string, changes: Partial<Candidate> = {}) =>
  candidate(text, { readings: { tales: prompt }, ...changes });

const asks = (question: string) => {
  const { lead, content, rest } = codec.turn(question);
  return [...lead, ...content, ...rest];
};
const SOURCES: Record<string, RewardSource> = {
  likelihood: { kind: 'likelihood', by, aggregate: 'mean' },
  ratio: {
    kind: 'ratio',
    plus: { model: 'arm-happy', reading: 'tales' },
    minus: by,
    beta: 0.5,
    aggregate: 'min',
    delimiters: ['.'],
    sigmoid: false,
  },
  follow_up: {
    kind: 'follow_up',
    by,
    positive: ['That made me smile.', 'What a happy story! I smiled.'].map((line) =>
      codec.turn(line),
    ),
    negative: ['That made me cry.', 'What a sad story.'].map((line) => codec.turn(line)),
    reads: 'complete',
  },
  judge: {
    kind: 'judge',
    by,
    questions: ['Is this a happy story?', 'Does the story end well?'].map((question) => ({
      asks: asks(question),
      labels: [yes!, no!],
      values: [1, 0],
    })),
    critique: null,
    calibration: null,
    reads: 'complete',
  },
};

test.each(['follow_up', 'judge'])('%s tells a happy story from a sad one', async (kind) => {
  const [happy, sad] = await opened(SOURCES[kind]!, loaded()).score([told(HAPPY), told(SAD)]);
  expect(happy!.value).toBeGreaterThan(sad!.value);
  if (kind === 'follow_up') expect([happy!.value > 0, sad!.value < 0]).toEqual([true, true]);
});

test.each(Object.keys(SOURCES))(
  '%s: a score has the same bits in any batch and run',
  async (kind) => {
    const batch = [
      told(HAPPY),
      told(SAD),
      told(' Tom'),
      told(HAPPY.repeat(2), { complete: false }),
    ];
    const together = await opened(SOURCES[kind]!, loaded(4096)).score(batch);
    const apart = await opened(SOURCES[kind]!, loaded(1)).score(batch);
    expect(apart).toEqual(together);
    const reward = opened(SOURCES[kind]!, loaded());
    for (const [i, one] of batch.entries())
      expect(await reward.score([one])).toEqual([together[i]]);
  },
);

test('the likelihood of what was drawn is what was recorded when it was drawn', async () => {
  const ask = opening({ guides: [['arm-happy', 0.5]], maxTokens: 60, top: 0 });
  const lanes = ['tales', 'arm-happy'].map((model) => ({ model, prompt }));
  const record = { top: 0, guides: true, states: false };
  for (const seed of [1n, 2n]) {
    const drawn = await answer(talesEngine(), { ...ask, lanes, record, seed });
    const one = told(drawn.text, { complete: drawn.finish === 'stop' });
    expect(codec.encode(one.text)).toEqual(drawn.tokens.filter((token) => token !== 0));
    const sum = (model: string): RewardSource => ({
      kind: 'likelihood',
      by: { model, reading: 'tales' },
      aggregate: 'sum',
    });
    const [base] = await opened(sum('tales'), loaded()).score([one]);
    const [guide] = await opened(sum('arm-happy'), loaded()).score([one]);
    // Steps and prefill differ in the last bits of int8, and drawing leaves the role tokens out.
    expect(Math.abs(base!.value - drawn.base)).toBeLessThan(0.005 * drawn.tokens.length);
    const contributed = drawn.draws.reduce((all, { guides }) => all + guides[0]!, 0);
    expect(Math.abs(guide!.value - contributed)).toBeLessThan(0.005 * drawn.tokens.length);
  }
});
