import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readVector, vectorBytes } from '../../../src/steering/file.ts';
import { temporaryFolder } from '../importer/checkpoint.ts';

const folder = temporaryFolder();
const path = join(folder, 'v.safetensors');
const values = Float32Array.of(0.5, -2, 3e-5);

function written(header: object, bytes: Uint8Array): string {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, bytes]));
  return path;
}
const tensor = (shape: number[], size: number, dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [0, size],
});

test('what is written is what is read', () => {
  writeFileSync(path, vectorBytes({ layer: 7, values }, { form: 'mean' }));
  expect(readVector(path)).toEqual({ layer: 7, values });
});

test('halves are read too', () => {
  const header = { __metadata__: { layer: '1' }, steering: tensor([2], 4, 'F16') };
  written(header, Buffer.from([0x00, 0x3c, 0x00, 0xc0])); // 1 and -2
  expect([...readVector(path).values]).toEqual([1, -2]);
});

const four = new Uint8Array(4);
const metadata = { layer: '3' };
test.each([
  [{ __metadata__: metadata, other: tensor([1], 4) }, four, 'has the tensors other'],
  [{ __metadata__: metadata, steering: tensor([1, 1], 4) }, four, 'of shape [1, 1]'],
  [{ __metadata__: metadata, steering: tensor([0], 0) }, new Uint8Array(0), 'of shape [0]'],
  [{ steering: tensor([1], 4) }, four, 'names no layer'],
  [{ __metadata__: 3, steering: tensor([1], 4) }, four, 'names no layer'],
  [{ __metadata__: { layer: 'x' }, steering: tensor([1], 4) }, four, 'names layer x'],
  [{ __metadata__: { layer: '0' }, steering: tensor([1], 4) }, four, 'names layer 0'],
  [{ __metadata__: metadata, steering: tensor([2], 8) }, four, 'holds 4 bytes of data'],
  [{ __metadata__: metadata, steering: tensor([1], 4, 'I32') }, four, 'stored as I32'],
  [
    { __metadata__: metadata, steering: tensor([1], 4) },
    Buffer.from(Float32Array.of(NaN).buffer),
    'must be finite',
  ],
])('%j is refused', (header, bytes, message) => {
  expect(() => readVector(written(header, bytes))).toThrow(message);
});

test('a link, a file that is missing and one that is too large are refused', () => {
  writeFileSync(path, vectorBytes({ layer: 7, values }));
  const link = join(folder, 'link.safetensors');
  symlinkSync(path, link);
  expect(() => readVector(link)).toThrow('is a link');
  expect(() => readVector(join(folder, 'none'))).toThrow('has no none');
  writeFileSync(path, Buffer.alloc(17 * 2 ** 20));
  expect(() => readVector(path)).toThrow('at most 16777216 are read');
});
