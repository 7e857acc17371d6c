import { expect, test } from 'vitest';
import type { KvBlock } from '../../../src/core/model.ts';
import { PrefixCache, wholeName } from '../../../src/engine/prefix_cache.ts';

const tokens = (n: number, from = 1): number[] => Array.from({ length: n }, (_, i) => from + i);
const block = (length: number, bytes = 10 * length): KvBlock => ({ length, bytes });
const logits = Float32Array.of(1, 2, 3);

function cacheOf(bytes: number, ...prompts: (readonly number[])[]): PrefixCache {
  const cache = new PrefixCache(bytes);
  for (const prompt of prompts) cache.store('m', prompt, block(prompt.length), logits);
  return cache;
}

test('an equal prompt is found whole, with the logits that follow it', () => {
  const cache = cacheOf(1 << 20, tokens(40));
  expect(cache.find('m', tokens(40))).toMatchObject({ length: 40, logits });
});

test('also a prompt of a single token, and one shorter than a stride', () => {
  const cache = cacheOf(1 << 20, [7], tokens(5));
  expect(cache.find('m', [7])).toMatchObject({ length: 1, logits });
  expect(cache.find('m', tokens(5))).toMatchObject({ length: 5, logits });
  expect(cache.find('m', [8])).toBeNull();
  expect(cache.find('m', tokens(6))).toBeNull();
});

test('a longer prompt finds all that it shares, and no logits', () => {
  const cache = cacheOf(1 << 20, tokens(40));
  expect(cache.find('m', [...tokens(40), 99, 98, 97])).toMatchObject({ length: 40, logits: null });
  expect(cache.find('m', [...tokens(37), 99, 98, 97])).toMatchObject({ length: 37, logits: null });
});

test('prompts that part before the first stride share nothing', () => {
  const cache = cacheOf(1 << 20, tokens(40));
  expect(cache.find('m', [...tokens(15), ...tokens(30, 50)])).toBeNull();
});

test('at least two tokens are always left to read: one alone would be a step', () => {
  const cache = cacheOf(1 << 20, tokens(48));
  for (const length of [17, 18, 31, 32, 33, 47])
    expect(cache.find('m', tokens(length))?.length ?? 0).toBeLessThanOrEqual(length - 2);
  expect(cache.find('m', [...tokens(48), 99])).toMatchObject({ length: 47, logits: null });
});

test('what is cached in one space is never found in another', () => {
  const cache = cacheOf(1 << 20, tokens(40));
  expect(cache.find('m/salt', tokens(40))).toBeNull();
  expect(cache.find('', tokens(40))).toBeNull();
});

test('two prompts with the same name (a hash collision) are told apart', () => {
  const [a, b] = [
    [62535, 3250202527, ...tokens(18)],
    [108149, 4043621929, ...tokens(18)],
  ];
  expect(wholeName('m', a)).toBe(wholeName('m', b));
  const cache = cacheOf(1 << 20, a);
  expect(cache.find('m', b)).toBeNull();
  expect(cache.find('m', [...b, 1, 2, 3])).toBeNull();
  expect(cache.find('m', a)).toMatchObject({ length: 20 });
});

test('the bytes held stay within the bound; the oldest prompt goes first', () => {
  const cache = new PrefixCache(4000);
  for (let i = 0; i < 50; i++) {
    cache.store('m', tokens(32, 100 * i), block(32), logits);
    expect(cache.bytes).toBeLessThanOrEqual(4000);
  }
  expect(cache.find('m', tokens(32))).toBeNull();
  expect(cache.find('m', tokens(32, 4900))).not.toBeNull();
});

test('nothing is remembered of prompts that were evicted', () => {
  const cache = new PrefixCache(4000);
  for (let i = 0; i < 200; i++) cache.store('m', tokens(32, 100 * i), block(32), logits);
  expect(cache.names).toBeLessThan(40);
  expect(cache.names).toBeGreaterThan(0);
});

test('a prompt larger than the whole cache, or any with no cache, is not kept', () => {
  const cache = new PrefixCache(4000);
  cache.store('m', tokens(40), block(40, 5000), logits);
  expect(cache.find('m', tokens(40))).toBeNull();
  const none = cacheOf(0, tokens(40));
  expect(none.find('m', tokens(40))).toBeNull();
  expect(none.bytes).toBe(0);
});

test('storing a prompt again leaves it findable', () => {
  const cache = cacheOf(1 << 20, tokens(40), tokens(40));
  expect(cache.find('m', tokens(40))).toMatchObject({ length: 40, logits });
  expect(cache.find('m', [...tokens(40), 9, 9])).toMatchObject({ length: 40 });
});

test('names differ by token, order, length and space', () => {
  const names = [[1, 2, 3], [1, 3, 2], [1, 2], [1, 2, 4], []].map((t) => wholeName('m', t));
  names.push(wholeName('n', [1, 2, 3]));
  expect(new Set(names).size).toBe(names.length);
});
