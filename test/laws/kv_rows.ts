/** What KV rows owe the engine: the same numbers however a text is read, and rows that hold what they held, wherever they go. */

import { beforeAll, expect, test } from 'vitest';
import type { KvRows, LanguageModel } from '../../src/core/model.ts';
import { closing } from '../fakes/ort.ts';

export const tokensOf = (length: number, seed = 1): number[] =>
  Array.from({ length }, (_, i) => 8 + ((seed * 101 + i * 37 + i * i) % 290));

/** One step for the first rows: a token each after `lengths` positions. */
export const step = (
  kv: KvRows,
  tokens: readonly number[],
  lengths: readonly number[],
): Float32Array[] => {
  const logits = kv.step(tokens.length, Int32Array.from(tokens), Int32Array.from(lengths));
  const width = logits.length / tokens.length;
  return tokens.map((_, i) => logits.slice(i * width, (i + 1) * width));
};

/**
 * Registers a test for each law.
 * @param load called once, before the first; a model of 128 tokens or more
 * @param tolerance by which numbers may differ; 0: not in one bit
 */
export function kvRowsLaws(load: () => LanguageModel, tolerance = 0): void {
  let model: LanguageModel;
  beforeAll(() => void (model = load()), 120_000); // a GPU's kernels are compiled on first use
  const open = (rows: number, length = 128): KvRows => closing(model.open(rows, length));

  const expectLike = (
    found: Float32Array,
    expected: Float32Array | undefined,
    message?: string,
  ): void => {
    if (tolerance === 0) return expect(found, message).toEqual(expected);
    const apart = found.map((x, i) => Math.abs(x - expected![i]!));
    expect(Math.max(...apart), message).toBeLessThanOrEqual(tolerance);
  };

  /** What a row says next, from a state of `length` positions, without changing it: a probe in row 0 of another pool. */
  const after = (kv: KvRows, row: number, length: number): Float32Array => {
    using probe = model.open(1, 128);
    probe.load(0, kv.save(row, length), length);
    return step(probe, [9], [length])[0]!;
  };

  test('a prompt read in chunks of any size leaves the same bits as read whole', () => {
    const kv = open(2);
    const prompt = tokensOf(41);
    const whole = kv.prefill(0, prompt, 0).slice();
    const state = after(kv, 0, 41);
    for (const size of [2, 3, 7, 16, 20, 39]) {
      let [from, logits] = [0, whole];
      while (from < 41) {
        const left = 41 - from;
        const chunk = left - size === 1 ? size - 1 : Math.min(size, left);
        if (chunk < 2) break;
        logits = kv.prefill(1, prompt.slice(from, from + chunk), from).slice();
        from += chunk;
      }
      if (from < 41) continue;
      expectLike(logits, whole, `chunks of ${size}`);
      expectLike(after(kv, 1, 41), state, `chunks of ${size}`);
    }
  });

  test('a prompt read out at every token says what its prefixes say, and leaves the same row', () => {
    const kv = open(3);
    const prompt = tokensOf(41);
    kv.prefill(0, prompt, 0);
    const state = after(kv, 0, 41);
    for (const size of [2, 3, 20, 39, 41]) {
      for (let from = 0; from < 41;) {
        const left = 41 - from;
        const chunk = left - size === 1 ? Math.max(2, size - 1) : Math.min(size, left);
        if (left < 2 || left - chunk === 1) break;
        const all = kv.prefillAll(1, prompt.slice(from, from + chunk), from);
        expect(all).toHaveLength(chunk * model.width);
        for (const i of [0, 1, chunk - 1].filter((at) => from + at > 0)) {
          const prefix = kv.prefill(2, prompt.slice(0, from + i + 1), 0);
          const said = all.subarray(i * model.width, (i + 1) * model.width);
          expectLike(said, prefix, `token ${from + i} in chunks of ${size}`);
        }
        from += chunk;
        if (from === 41) expectLike(after(kv, 1, 41), state, `chunks of ${size}`);
      }
    }
  });

  test('prompts of any lengths read in one run leave the same bits as one by one', () => {
    const prompts = [1, 2, 3, 17, 40, 5].map((length, i) => tokensOf(length, i));
    const [one, many] = [open(6), open(8)];
    const expected = prompts.map((prompt, row) => one.prefill(row, prompt, 0).slice());
    for (const [first, count] of [
      [0, 6],
      [2, 6],
      [0, 2],
      [3, 3],
    ] as const) {
      const some = prompts.slice(0, count);
      const logits = many.prefillBatch(first, some);
      some.forEach((prompt, i) => {
        const row = logits.slice(i * model.width, (i + 1) * model.width);
        expectLike(row, expected[i], `prompt of ${prompt.length} in ${count}`);
        expectLike(after(many, first + i, prompt.length), after(one, i, prompt.length));
      });
    }
  });

  test('rows of any lengths step together as each would alone, bit for bit', () => {
    const lengths = [1, 5, 33, 60, 2, 12, 9, 40];
    const kv = open(8);
    lengths.forEach((length, row) => kv.prefill(row, tokensOf(length, row), 0));
    const alone = lengths.map((length, row) => {
      using single = model.open(1, 128);
      single.load(0, kv.save(row, length), length);
      return [0, 1, 2, 3].map((i) => step(single, [20 + i], [length + i])[0]!);
    });
    for (const i of [0, 1, 2, 3]) {
      const logits = step(
        kv,
        lengths.map(() => 20 + i),
        lengths.map((n) => n + i),
      );
      logits.forEach((row, r) => expectLike(row, alone[r]![i], `row ${r}`));
    }
  });

  test('a step of fewer rows leaves the others as they are', () => {
    const kv = open(3);
    for (const row of [0, 1, 2]) kv.prefill(row, tokensOf(10, row), 0);
    const before = [1, 2].map((row) => after(kv, row, 10));
    step(kv, [30], [10]);
    [1, 2].forEach((row, i) => expectLike(after(kv, row, 10), before[i]));
  });

  test('rows are copied, exchanged, saved and loaded with all they hold', () => {
    const kv = open(4);
    const lengths = [20, 7, 30, 3];
    lengths.forEach((length, row) => kv.prefill(row, tokensOf(length, row), 0));
    const held = lengths.map((length, row) => after(kv, row, length));
    kv.copy(0, 3, 20);
    expectLike(after(kv, 3, 20), held[0]);
    kv.swap(1, 2, 7, 30);
    expectLike(after(kv, 1, 30), held[2]);
    expectLike(after(kv, 2, 7), held[1]);
    const block = kv.save(1, 30);
    expect(block).toMatchObject({ length: 30, bytes: 30 * model.kvBytes });
    kv.load(0, block, 30);
    expectLike(after(kv, 0, 30), held[2]);
    kv.prefill(3, tokensOf(7, 1), 0);
    kv.load(0, block, 5); // part of a block: its first positions
    expectLike(after(kv, 0, 5), after(kv, 1, 5));
  });

  test('a row of another length class says the same', () => {
    const [short, long] = [open(2, 64), open(3, 128)];
    const prompt = tokensOf(30);
    expectLike(short.prefill(1, prompt, 0).slice(), long.prefill(2, prompt, 0).slice());
    expectLike(after(short, 1, 30), after(long, 2, 30));
  });
}

/** Lengths of prompts that leave other bits beside a longer one than alone, around the tiles of 64 that a kernel may work in. */
export function differingBesideLonger(model: LanguageModel): number[] {
  const kv = closing(model.open(2, 192));
  return [2, 17, 33, 63, 64, 65, 66, 97, 129].filter((length) => {
    const alone = kv.prefill(0, tokensOf(length), 0).slice();
    const beside = kv.prefillBatch(0, [tokensOf(length), tokensOf(length + 57, 2)]);
    return alone.some((logit, i) => logit !== beside[i]);
  });
}
