import { expect, test } from 'vitest';
import { differenceOf, readVocabulary } from '../../../../src/runtime/text/vocabulary.ts';

const BYTE_LEVEL = { type: 'ByteLevel' };
const LLAMA = {
  type: 'Sequence',
  decoders: [{ type: 'Replace' }, { type: 'ByteFallback' }, { type: 'Fuse' }],
};
const special = (id: number, content: string) => ({ id, content, special: true });

test('byte-level pieces spell their bytes, half characters included', () => {
  const vocabulary = readVocabulary(
    {
      model: { vocab: { '<end>': 0, Ġhi: 1, 'Ã©': 2, Ã: 3, Ċ: 4, '!': 5 } },
      added_tokens: [special(0, '<end>')],
      decoder: BYTE_LEVEL,
    },
    ['<end>'],
  );
  const bytes = [0, 1, 2, 3, 4, 5].map((id) => [...vocabulary.bytes(id)]);
  expect(bytes).toEqual([[], [0x20, 0x68, 0x69], [0xc3, 0xa9], [0xc3], [0x0a], [0x21]]);
  expect(vocabulary).toMatchObject({ size: 6, banned: [] });
  expect([...vocabulary.ends]).toEqual([0]);
  expect(vocabulary.piece(1)).toBe('Ġhi');
});

test('the byte alphabet covers all 256 bytes, each once', () => {
  const printable = (b: number): boolean =>
    (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  const letters = Array.from({ length: 256 }, (_, b) =>
    String.fromCodePoint(printable(b) ? b : next++),
  );
  const vocab = Object.fromEntries(letters.map((letter, id) => [letter, id]));
  const vocabulary = readVocabulary({ model: { vocab }, decoder: BYTE_LEVEL }, ['!']);
  expect(letters.map((_, id) => [...vocabulary.bytes(id)])).toEqual(letters.map((_, b) => [b]));
});

test('sentencepiece-like pieces spell spaces and single bytes', () => {
  const vocab: [string, number][] = [
    ['</s>', 0],
    ['▁the', -1],
    ['<0xE2>', -2],
    ['é', -3],
  ];
  const vocabulary = readVocabulary({ model: { vocab }, decoder: LLAMA }, ['</s>']);
  expect(vocabulary.size).toBe(4);
  expect([1, 2, 3].map((id) => Buffer.from(vocabulary.bytes(id)).toString('latin1'))).toEqual([
    ' the',
    '\xe2',
    '\xc3\xa9',
  ]);
});

test('special tokens spell nothing and, but for the end, are never drawn; other added ones spell themselves', () => {
  const vocabulary = readVocabulary(
    {
      model: { vocab: { a: 0 } },
      added_tokens: [
        special(3, '<end>'),
        special(2, '<pad>'),
        { id: 1, content: 'ß', special: false },
      ],
      decoder: BYTE_LEVEL,
    },
    ['<end>'],
  );
  expect(vocabulary.banned).toEqual([2]);
  expect([...vocabulary.bytes(1)]).toEqual([0xc3, 0x9f]);
  expect([...vocabulary.bytes(2)]).toEqual([]);
  expect([...vocabulary.bytes(99)]).toEqual([]);
});

test('a tokenizer of an unknown kind, or without the end token, is refused', () => {
  const json = { model: { vocab: { a: 0 } } };
  expect(() => readVocabulary(json, ['a'])).toThrow(
    'neither ByteLevel, WordPiece nor sentencepiece',
  );
  expect(() => readVocabulary({ ...json, decoder: BYTE_LEVEL }, ['b'])).toThrow(
    'end token b is not in the vocabulary',
  );
});

const of = (...pieces: string[]) =>
  readVocabulary(
    { model: { vocab: Object.fromEntries(pieces.map((p, id) => [p, id])) }, decoder: BYTE_LEVEL },
    ['a'],
  );

test('vocabularies differ in the first token that does not mean the same', () => {
  const abc = of('a', 'b', 'c');
  expect(differenceOf(abc, of('a', 'b', 'c'))).toBeNull();
  expect(differenceOf(abc, of('a', 'x', 'y', 'z'))).toBe('token 1 is "x" there and "b" here');
  expect(differenceOf(abc, of('a', 'b'))).toBe('token 2 is nothing there and "c" here');
  expect(differenceOf(of('a', 'b'), abc)).toBe('token 2 is "c" there and nothing here');
});
