/** Critiques: drawn by seed, the same alone and in traffic, in rows that come back; and the judge that is asked behind them. */

import { describe, expect, test } from 'vitest';
import type { Critique } from '../../../src/core/reward.ts';
import { judge } from '../../../src/rewards/judge.ts';
import { Savings } from '../../../src/rewards/savings.ts';
import { Turns } from '../../../src/rewards/turns.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { turns } from '../../fakes/drive.ts';
import { candidate } from '../../fakes/reward.ts';
import { fakeReader, fakeTextModel } from '../../fakes/text_model.ts';
import { fakeWriter, LENGTH } from '../../fakes/writer.ts';

const asks = byteCodec.encode('why?');
const how: Critique = { asks, tokens: 12, n: 1, temperature: 0, seed: 0 };
const PROMPTS = ['a', 'a longer one', 'b', 'some more'].map((text) => byteCodec.prompt(text));

describe('a writer', () => {
  test('writes the same alone, among others, in another order and with more rows', async () => {
    for (const drawn of [how, { ...how, n: 2, temperature: 1, seed: 3 }]) {
      const all = await fakeWriter().writer.write(PROMPTS, drawn);
      for (const [i, prompt] of PROMPTS.entries())
        expect(await fakeWriter().writer.write([prompt], drawn)).toEqual([all[i]]);
      const { writer } = fakeWriter(7);
      const both = await Promise.all([
        writer.write(PROMPTS.toReversed(), drawn),
        writer.write(PROMPTS, drawn),
      ]);
      expect(both).toEqual([all.toReversed(), all]);
    }
  });

  test('draws n different critiques by a seed, of so many tokens at most, without their end', async () => {
    const drawn = { ...how, n: 3, temperature: 1 };
    const { writer } = fakeWriter(3);
    const [first] = await writer.write(PROMPTS, drawn);
    expect(new Set(first!.map((one) => one.join())).size).toBe(3);
    expect(await writer.write(PROMPTS, { ...drawn, seed: 1 })).not.toEqual(
      await writer.write(PROMPTS, drawn),
    );
    for (const critiques of await writer.write(PROMPTS, drawn))
      for (const one of critiques!) {
        expect(one.length).toBeLessThanOrEqual(12);
        expect(one).not.toContain(0);
      }
  });

  test('says which prompts leave no room', async () => {
    const long = Array<number>(LENGTH - 11).fill(9);
    const [none, some] = await fakeWriter().writer.write([long, long.slice(1)], how);
    expect(none).toBeNull();
    expect(some).toHaveLength(1);
  });

  test('gives every row back when it is left or fails', async () => {
    const { writer, engine } = fakeWriter();
    const abort = new AbortController();
    const gone = writer.write(PROMPTS, { ...how, temperature: 1 }, abort.signal);
    const stays = writer.write(PROMPTS, how);
    await turns(3);
    abort.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    expect(await stays).toHaveLength(PROMPTS.length);
    await expect(writer.write(PROMPTS, { ...how, n: 3, temperature: 1 })).rejects.toThrow('room');
    await turns(3);
    engine.audit();
    expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
  });
});

describe('a judge that writes', () => {
  const questions = [
    { asks: [50], labels: [100, 101], values: [1, 0] },
    { asks: [51, 52], labels: [100, 101], values: [1, 0] },
  ];
  const judging = (critique: Critique | null) =>
    ({
      kind: 'judge',
      by: { model: 'lm', reading: 'lm' },
      questions,
      critique,
      calibration: null,
      reads: 'prefix',
    }) as const;
  const answered = (text: string) => candidate(text, { readings: { lm: [0, 9] } });

  test('is the mean of what it is without critiques, of texts that end with them', async () => {
    const drawn = { ...how, n: 2, temperature: 1 };
    const batch = ['ab', 'cde'].map(answered);
    const { writer } = fakeWriter();
    const scores = await judge(fakeReader(), writer, judging(drawn)).score(batch);
    const plain = judge(fakeReader(), null, judging(null));
    for (const [i, one] of batch.entries()) {
      const prompt = [0, 9, ...byteCodec.encode(one.text), ...asks];
      const [critiques] = await writer.write([prompt], drawn);
      const behind = await plain.score(
        critiques!.map((critique) => ({
          ...answered(''),
          readings: { lm: [...prompt, ...critique] },
        })),
      );
      const mean = behind.reduce((total, { value }) => total + value, 0) / 2;
      expect(scores[i]!.value).toBeCloseTo(mean, 12);
      const written = critiques!.reduce((total, { length }) => total + length, prompt.length);
      const read = behind.reduce((total, { tokens = 0 }) => total + tokens, 0);
      expect(scores[i]!.tokens).toBe(written + read);
    }
    expect(scores[0]!.value).not.toBe((await plain.score(batch))[0]!.value);
  });

  test('has no score where there is no room for a critique, or for the question behind it', async () => {
    const { writer } = fakeWriter();
    const source = judging(how);
    const values = async (context: number) => {
      const model = fakeTextModel('lm', undefined, context);
      const batch = [answered('x'.repeat(LENGTH)), answered('ab')];
      const scores = await judge(fakeReader(model), writer, source).score(batch);
      return scores.map(({ value }) => value);
    };
    expect(await values(256)).toEqual([NaN, expect.any(Number)]);
    expect((await values(256))[1]).not.toBeNaN();
    expect(await values(8)).toEqual([NaN, NaN]);
  });
});

describe('an engine that writes for rewards', () => {
  const world = (decoding: boolean) => {
    const shared = new Turns({ share: 0.5, now: () => 0 });
    let on = decoding;
    let iterations = 0;
    const iterate = (): void => {
      if (!on) return;
      iterations++;
      shared.decoded(10);
      setImmediate(iterate);
    };
    setImmediate(iterate);
    return { shared, rest: () => (on = false), iterations: () => iterations };
  };

  test('takes its share of the turns beside decoding, however long its iterations are', async () => {
    const { shared, rest, iterations } = world(true);
    const savings = new Savings(shared);
    await savings.turn();
    const began = iterations();
    for (let i = 0; i < 5; i++) {
      savings.took(20); // four shares of five
      expect(await savings.turn()).toBeLessThan(64);
    }
    expect(iterations() - began).toBeGreaterThanOrEqual(5 * 4);
    rest();
  });

  test('leaves turns to other rewards meanwhile, and waits for nothing where nothing is decoded', async () => {
    const { shared, rest } = world(true);
    const savings = new Savings(shared);
    await savings.turn();
    savings.took(1000);
    const next = savings.turn();
    let runs = 0;
    for (; runs < 10; runs++) await shared.run(() => undefined);
    rest();
    expect(await next).toBe(Infinity);
    expect(runs).toBe(10);
  });

  test('reads no more of prompts than its turn allows, and writes the same', async () => {
    const { writer, model } = fakeWriter(
      2,
      () => new Promise((resolve) => setImmediate(() => resolve(8))),
    );
    const long = [byteCodec.prompt('a prompt that is longer than what a turn allows')];
    expect(await writer.write(long, how)).toEqual(await fakeWriter().writer.write(long, how));
    expect(model.work.prefills).toBeGreaterThan(4);
  });
});
