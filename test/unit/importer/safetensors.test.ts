/** Reading safetensors: the three number formats, and every way a header can lie. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSafetensors } from '../../../src/importer/safetensors.ts';
import { temporaryFolder } from './checkpoint.ts';

const folder = temporaryFolder();

/** Writes a file from its header and data; `length` lies about the header's size. */
function file(header: unknown, data: Uint8Array, length?: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(length ?? text.length));
  const path = join(folder, 'model.safetensors');
  writeFileSync(path, Buffer.concat([size, text, data]));
  return path;
}

const entry = (begin: number, end: number, changes: object = {}) => ({
  dtype: 'F32',
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...changes,
});

test('F32, F16 and BF16 tensors are read as float32, in any order of the header', () => {
  const data = Buffer.concat([
    Buffer.from(Float32Array.of(1.5, -2, 1e-30, 3).buffer),
    Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x03ff, 0x8000).buffer),
    Buffer.from(Uint16Array.of(0x3f80, 0xc040).buffer),
  ]);
  const path = file(
    {
      __metadata__: { format: 'pt' },
      brain: entry(28, 32, { dtype: 'BF16', shape: [2] }),
      half: entry(16, 28, { dtype: 'F16', shape: [3, 2] }),
      full: entry(0, 16, { shape: [2, 2] }),
    },
    data,
  );
  using source = openSafetensors(path);
  expect(source.names).toEqual(['brain', 'half', 'full']);
  expect(source.shape('half')).toEqual([3, 2]);
  expect([...source.read('full')]).toEqual([1.5, -2, Math.fround(1e-30), 3]);
  expect([...source.read('half')]).toEqual([1, -2, 2 ** -24, 65504, 1023 * 2 ** -24, -0]);
  expect([...source.read('brain')]).toEqual([1, -3]);
  expect(() => source.read('other')).toThrow('model.safetensors has no tensor other');
});

const eight = new Uint8Array(8);

test.each([
  [
    'truncated data',
    { a: entry(0, 16) },
    eight,
    'tensor a lies at 0 to 16; the file holds 8 bytes',
  ],
  ['an overlap', { a: entry(0, 8), b: entry(4, 8) }, eight, 'tensor b lies at 4 to 8 and overlaps'],
  ['a hole', { a: entry(0, 4), b: entry(8, 12) }, new Uint8Array(12), 'the 4 bytes before it'],
  ['data after the last tensor', { a: entry(0, 4) }, eight, 'the last 4 bytes are no tensor'],
  ['offsets beyond the file', { a: entry(8, 16) }, eight, 'tensor a lies at 8 to 16; the file'],
  [
    'an end before the begin',
    { a: entry(8, 4, { shape: [1] }) },
    eight,
    'begins at 8, after its end',
  ],
  ['a negative offset', { a: entry(-4, 4) }, eight, 'tensor a has no data_offsets [begin, end]'],
  ['three offsets', { a: entry(0, 8, { data_offsets: [0, 4, 8] }) }, eight, 'no data_offsets'],
  [
    'a shape of another size',
    { a: entry(0, 8, { shape: [3] }) },
    eight,
    'spans 8 bytes; F32 [3] takes 12',
  ],
  ['a huge shape', { a: entry(0, 8, { shape: [1e15, 1e15] }) }, eight, 'tensor a spans 8 bytes'],
  ['a negative dim', { a: entry(0, 8, { shape: [-2] }) }, eight, 'no list of whole numbers'],
  ['an entry that is no object', { a: null }, eight, 'tensor a has dtype undefined'],
  ['a header that is no JSON', '{"a":', eight, 'its header is not JSON'],
  ['a header that is a list', [], eight, 'its header is not a JSON object'],
])('%s is refused', (_, header, data, message) => {
  expect(() => openSafetensors(file(header, data))).toThrow(message);
});

test('a header longer than the file, or than 100 MB, is refused before it is read', () => {
  expect(() => openSafetensors(file({}, eight, 1000))).toThrow('announces a header of 1000 bytes');
  expect(() => openSafetensors(file({}, eight, 2 ** 52))).toThrow('at most 10 are possible');
  const path = join(folder, 'short.safetensors');
  writeFileSync(path, 'abc');
  expect(() => openSafetensors(path)).toThrow('short.safetensors is no safetensors file: it has 3');
});

test('masks and counters may stand beside weights, and cannot be read as weights', () => {
  const header = { mask: entry(0, 1, { dtype: 'BOOL', shape: [1, 1] }), a: entry(1, 9) };
  using source = openSafetensors(file(header, new Uint8Array(9)));
  expect(source.read('a')).toHaveLength(2);
  expect(() => source.read('mask')).toThrow('tensor mask is stored as BOOL; weights are F32, F16');
  const other = { a: entry(0, 8, { dtype: 'C64', shape: [1] }) };
  expect(() => openSafetensors(file(other, eight))).toThrow('tensor a has dtype C64');
});

test.each([
  ['F32', Buffer.from(Float32Array.of(1, 2, NaN, 4).buffer), 'NaN at value 2'],
  ['F32', Buffer.from(Float32Array.of(1, 2, 3, -Infinity).buffer), '-Infinity at value 3'],
  ['F16', Buffer.from(Uint16Array.of(0, 0x7c00, 0, 0).buffer), 'Infinity at value 1'],
  ['BF16', Buffer.from(Uint16Array.of(0x7fc0, 0, 0, 0).buffer), 'NaN at value 0'],
])('%s: a weight that is not finite is refused where it stands', (dtype, data, message) => {
  using source = openSafetensors(
    file({ a: entry(0, data.length, { dtype, shape: [2, 2] }) }, data),
  );
  expect(() => source.read('a')).toThrow(`tensor a holds ${message}`);
  const bad = message.endsWith('0') || message.endsWith('1') ? 0 : 1;
  expect(() => source.read('a', bad, bad + 1)).toThrow(`tensor a holds ${message}`);
  expect(source.read('a', 1 - bad, 2 - bad)).toHaveLength(2);
});

test('a damaged file is refused with its name, or read; it never does anything else', () => {
  const header = { a: entry(0, 8), b: entry(8, 16, { dtype: 'BF16', shape: [2, 2] }) };
  const path = file(header, Buffer.from(Float32Array.of(1, 2, 3, 4).buffer));
  const whole = readFileSync(path);
  const damage = fc.record({
    at: fc.nat(whole.length - 1),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }),
    cut: fc.nat(whole.length),
  });
  fc.assert(
    fc.property(damage, ({ at, bytes, cut }) => {
      const damaged = Buffer.from(whole);
      damaged.set(bytes.subarray(0, whole.length - at), at);
      writeFileSync(path, damaged.subarray(0, Math.max(cut, at)));
      try {
        using source = openSafetensors(path);
        for (const name of source.names)
          expect(source.read(name)).toHaveLength(
            source.shape(name).reduce((product, dim) => product * dim, 1),
          );
      } catch (error) {
        expect((error as Error).message).toContain('model.safetensors');
      }
    }),
    { numRuns: 500 },
  );
});

test('an empty tensor is a tensor', () => {
  using source = openSafetensors(file({ none: entry(0, 0), a: entry(0, 8) }, eight));
  expect(source.read('none')).toHaveLength(0);
  expect(source.read('a')).toHaveLength(2);
});
