import { expect, test } from 'vitest';
import type { ScoreModel } from '../../../src/core/model.ts';
import { Pace } from '../../../src/rewards/pace.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { Turns } from '../../../src/rewards/turns.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { candidate } from '../../fakes/reward.ts';
import { fakeReader } from '../../fakes/text_model.ts';

/** Turns by a clock of their own, beside iterations that take 11 ms each; a run may take half of that. */
function beside() {
  const clock = { ms: 0 };
  const turns = new Turns({ share: 0.5, now: () => clock.ms });
  /** An iteration comes before each run, until `rest` is called. */
  let decoding = true;
  const iterate = (): void => {
    if (!decoding) return;
    turns.decoded(11);
    setImmediate(iterate);
  };
  setImmediate(iterate);
  return { clock, turns, rest: () => (decoding = false) };
}

/** Reads a token a millisecond; keeps how many it was told to. */
async function paces(pace: Pace, { clock }: ReturnType<typeof beside>, runs: number) {
  const told: number[] = [];
  for (let i = 0; i < runs; i++)
    await pace.run((tokens) => {
      told.push(tokens);
      clock.ms += tokens;
      return tokens;
    });
  return told;
}

test('beside decoding a run reads what its share of an iteration allows, by what the runs before took', async () => {
  const world = beside();
  const pace = new Pace(world.turns, 64);
  expect(await paces(pace, world, 4)).toEqual([2, 5, 5, 5]);
  world.rest();
});

test('where nothing is decoded a run reads as much as it may', async () => {
  const world = beside();
  const pace = new Pace(world.turns, 64);
  await paces(pace, world, 2);
  world.rest();
  await new Promise(setImmediate);
  expect((await paces(pace, world, 3)).slice(1)).toEqual([64, 64]);
});

test('a run that was held up slows the next ones for a while only', async () => {
  const world = beside();
  const pace = new Pace(world.turns, 64);
  await paces(pace, world, 2);
  await pace.run((tokens) => {
    world.clock.ms += 1000;
    return tokens;
  });
  const told = await paces(pace, world, 20);
  expect(told[0]).toBe(4);
  expect(told.at(-1)).toBe(5);
  world.rest();
});

test('beside decoding texts are read in pieces, and spelled one at a time as their turn comes', async () => {
  const world = beside();
  const { clock, turns } = world;
  const spelled: string[] = [];
  const codec = {
    ...byteCodec,
    encode: (text: string) => (spelled.push(text), byteCodec.encode(text)),
  };
  const read: string[] = [];
  const held = new Map<string, number>();
  const model: ScoreModel = {
    name: 'rm',
    context: 64,
    missing: (row) => row.length - (held.get(row.join()) ?? 0),
    readOn(row, tokens) {
      read.push(`${tokens} of ${row.length}`);
      if (row.length === 15) expect(spelled).toHaveLength(1);
      clock.ms += tokens;
      held.set(row.join(), (held.get(row.join()) ?? 0) + tokens);
      return true;
    },
    score(rows) {
      read.push(`the rest, ${spelled.length} spelled`);
      for (const row of rows) clock.ms += model.missing(row);
      return Float32Array.from(rows, (row) => row.length);
    },
  };
  const reward = scalarHead({ model, codec, reads: 'prefix', runTokens: 64, turns });
  const batch = ['a'.repeat(13), 'b'.repeat(7)].map((text) =>
    candidate(text, { readings: { rm: [1] } }),
  );
  const scores = await reward.score(batch);
  world.rest();
  expect(scores.map(({ value }) => value)).toEqual([15, 9]); // with the prompt and the end
  expect(read).toEqual([
    '2 of 15',
    '5 of 15',
    '5 of 15',
    'the rest, 2 spelled', // the second was looked at: it does not fit beside this rest
    '5 of 9',
    'the rest, 2 spelled',
  ]);
});

test('readers spell as many texts a turn as its time allows', async () => {
  const world = beside();
  const turns: string[] = [];
  const spelling = world.turns.each(['a', 'b', 'c', 'd', 'e'], (text) => {
    turns.push(text);
    world.clock.ms += 2;
    return text.toUpperCase();
  });
  const others = world.turns.run(() => turns.push('|'));
  expect(await spelling).toEqual(['A', 'B', 'C', 'D', 'E']);
  await others;
  world.rest();
  expect(turns).toEqual(['a', 'b', 'c', '|', 'd', 'e']);
});

test('nothing is spelled for nobody', async () => {
  const lm = fakeReader();
  const left = new AbortController();
  left.abort(new Error('left'));
  await expect(lm.spell(['a'], (text) => text, left.signal)).rejects.toThrow('left');
  expect(await lm.spell([], (text) => text)).toEqual([]);
});
