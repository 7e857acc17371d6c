import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Vocabulary } from '../../../src/core/model.ts';
import { BranchText } from '../../../src/engine/branch_text.ts';

/** Tokens are bytes, and token 256 + i is the i-th of `pieces`. */
function bytesOf(pieces: readonly Uint8Array[]): Vocabulary {
  return {
    size: 256 + pieces.length,
    bytes: (token) => (token < 256 ? Uint8Array.of(token) : pieces[token - 256]!),
    piece: String,
    ends: new Set(),
    banned: [],
  };
}

const whole = new TextDecoder('utf-8', { ignoreBOM: true });

function textOf(pieces: readonly Uint8Array[]): BranchText {
  const text = new BranchText(bytesOf(pieces));
  pieces.forEach((_, i) => text.append(256 + i));
  return text;
}

test('however its bytes are cut into tokens, a text comes out whole', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 30 }), cuts, (written, sizes) => {
      const text = textOf(cut(Buffer.from(written), sizes));
      text.end();
      expect(text.text).toBe(written);
    }),
  );
});

test('bytes that are no UTF-8 read as a decoder reads them, however they are cut', () => {
  const bytes = fc.array(
    fc.constantFrom(0x41, 0x80, 0xbf, 0xc3, 0xe2, 0x82, 0xf0, 0x9f, 0xed, 0xa0, 0xff, 0xf8),
    {
      maxLength: 12,
    },
  );
  const cuts = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(bytes, cuts, (all, sizes) => {
      const text = textOf(cut(Uint8Array.from(all), sizes));
      text.end();
      expect(text.text).toBe(whole.decode(Uint8Array.from(all)));
    }),
    { numRuns: 500 },
  );
});

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    pieces.push(bytes.slice(at, at + size));
    at += size;
  }
  return pieces;
}

test('half a character is held back until it is whole', () => {
  const [a, b, c] = [0xe2, 0x82, 0xac] as const; // the euro sign
  const text = new BranchText(bytesOf([]));
  text.append(a);
  expect(text.text).toBe('');
  text.append(b);
  expect(text.text).toBe('');
  text.append(c);
  expect(text.text).toBe('€');
});

test('half a character at the end becomes U+FFFD', () => {
  const text = new BranchText(bytesOf([]));
  for (const byte of [0x41, 0xe2, 0x82]) text.append(byte);
  expect(text.text).toBe('A');
  text.end();
  expect(text.text).toBe('A\ufffd');
});

test('a byte order mark is text like any other', () => {
  const text = textOf([Buffer.from('\ufeff'), Buffer.from('a'), Buffer.from('\ufeffé')]);
  expect(text.text).toBe('\ufeffa\ufeffé');
});

test('a copy goes its own way, half characters included', () => {
  const text = new BranchText(bytesOf([]));
  for (const byte of [0x41, 0xc3]) text.append(byte);
  const twin = text.copy();
  twin.append(0xa9);
  text.append(0xa8);
  expect([text.text, twin.text]).toEqual(['Aè', 'Aé']);
});

test('the earliest of several texts is found, one that began before included', () => {
  const text = textOf([Buffer.from('one two')]);
  expect(text.find(['two', 'e t'], 0)).toBe(2);
  expect(text.find(['one'], 2)).toBe(0);
  expect(text.find(['one'], 3)).toBe(-1);
  expect(text.find(['three'], 0)).toBe(-1);
});
