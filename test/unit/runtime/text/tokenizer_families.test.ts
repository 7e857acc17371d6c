/** Tokenizers of every family, made by hand: what goes in comes out, whole, and nothing in it becomes a special token. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Codec } from '../../../../src/core/text.ts';
import { BranchText } from '../../../../src/engine/branch_text.ts';
import { readPair } from '../../../../src/runtime/text/pair.ts';
import { loadCodec, loadPairCodec } from '../../../../src/runtime/text/tokenizer.ts';
import {
  byteLevelBpe,
  sentencePieceBpe,
  unigram,
  wordPiece,
  type TokenizerFiles,
} from '../../../fakes/tokenizers.ts';
import { temporaryFolder } from '../../importer/checkpoint.ts';

function folderOf(
  { tokenizer, config }: TokenizerFiles,
  more: Readonly<Record<string, unknown>> = {},
): string {
  const folder = join(temporaryFolder(), 'model');
  mkdirSync(folder);
  const files = { 'tokenizer.json': tokenizer, 'tokenizer_config.json': config, ...more };
  for (const [name, value] of Object.entries(files))
    writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  return folder;
}

const exact: readonly (readonly [string, Codec])[] = [
  ['sentencepiece BPE', loadCodec(folderOf(sentencePieceBpe()))],
  ['byte-level BPE', loadCodec(folderOf(byteLevelBpe()))],
  ['byte-level BPE that takes pieces whole', loadCodec(folderOf(byteLevelBpe(true)))],
];
const pairs: readonly (readonly [string, Codec])[] = [
  ['word pieces', loadPairCodec(folderOf(wordPiece()))],
  ['unigram', loadPairCodec(folderOf(unigram()))],
];

/** Any text but sentencepiece's own sign for a space, which it cannot tell from one. */
const anyText = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.string({ unit: 'grapheme', maxLength: 30 }),
  )
  .map((text) => text.replaceAll('▁', '_'));

describe.each(exact)('%s', (_, codec) => {
  test('gives back any text that goes on', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(codec.decode(codec.encode(text))).toBe(text.toWellFormed());
      }),
    );
  });

  test('streams whole characters only', () => {
    fc.assert(
      fc.property(anyText, (raw) => {
        const text = raw.toWellFormed();
        const streamed = new BranchText(codec.vocabulary);
        for (const token of codec.encode(text)) {
          streamed.append(token);
          expect(text.startsWith(streamed.text)).toBe(true);
          expect(streamed.text.isWellFormed()).toBe(true);
        }
        expect(streamed.text).toBe(text);
      }),
    );
  });

  test('streams whole characters of tokens in any order', () => {
    const token = fc.nat({ max: codec.vocabulary.size - 1 });
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        const streamed = new BranchText(codec.vocabulary);
        let before = '';
        for (const one of tokens) {
          streamed.append(one);
          expect(streamed.text.startsWith(before)).toBe(true);
          before = streamed.text;
        }
        streamed.end();
        expect(streamed.text).toBe(codec.decode(tokens));
      }),
    );
  });
});

test.each([...exact, ...pairs])('%s: no text becomes a special token', (_, codec) => {
  const { vocabulary } = codec;
  const special = Array.from({ length: vocabulary.size }, (_each, id) => id).filter(
    (id) => vocabulary.ends.has(id) || vocabulary.banned.includes(id),
  );
  expect(special.length).toBeGreaterThan(1);
  const unknown = special.filter((id) => /unk/i.test(vocabulary.piece(id)));
  const part = fc.oneof(
    fc.constantFrom(...special.map((id) => vocabulary.piece(id))),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const tokens = codec.encode(parts.join(''));
      // What a tokenizer has no piece for is its unknown token, whoever wrote it.
      expect(tokens.filter((token) => special.includes(token) && !unknown.includes(token))).toEqual(
        [],
      );
    }),
  );
});

test('word pieces give back words, in lower case and a space apart', () => {
  const codec = pairs[0]![1];
  expect(codec.decode(codec.encode('The CAT, playing'))).toBe(' the cat , playing');
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'abc theplayingcat,.'), maxLength: 30 }),
      (text) => {
        const tokens = codec.encode(text);
        expect(codec.encode(codec.decode(tokens))).toEqual(tokens);
      },
    ),
  );
});

test('unigram gives back what it has pieces for, begun with a space', () => {
  const codec = pairs[1]![1];
  const word = fc.string({
    unit: fc.constantFrom(...'abctheplayingcat,.'),
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 5 }), (words) => {
      expect(codec.decode(codec.encode(words.join(' ')))).toBe(` ${words.join(' ')}`);
    }),
  );
  const known = codec.encode('the cat');
  expect(known).toHaveLength(2);
});

test.each(pairs)('%s: a prompt and an answer are cut as the library cuts a pair', (name, codec) => {
  const { tokenizer, config } = name === 'unigram' ? unigram() : wordPiece();
  const library = new Tokenizer(tokenizer, config);
  const text = fc.string({ unit: fc.constantFrom(...'abc thecat,.'), maxLength: 20 });
  fc.assert(
    fc.property(text, text, (prompt, answer) => {
      fc.pre(prompt.trim() !== '' && answer.trim() !== ''); // the library takes no empty second text
      const joined = [...codec.prompt(prompt), ...codec.encode(answer), ...codec.closing(true)];
      expect(joined).toEqual(library.encode(prompt, { text_pair: answer }).ids);
    }),
  );
});

const INSTRUCT =
  "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}";

test('sentencepiece: a chat is cut as its joined text, though contents are spelled apart', () => {
  const { tokenizer, config } = sentencePieceBpe();
  const folder = folderOf({ tokenizer, config: { ...config, chat_template: INSTRUCT } });
  const codec = loadCodec(folder);
  const library = new Tokenizer(tokenizer, config);
  const content = fc
    .string({ unit: fc.constantFrom(...'abc the cat,é'), minLength: 1, maxLength: 20 })
    .filter((text) => text.trim() === text);
  fc.assert(
    fc.property(content, content, content, (ask, answer, again) => {
      const messages = [
        { role: 'user', content: ask },
        { role: 'assistant', content: answer },
        { role: 'user', content: again },
      ] as const;
      const joined = `<s>[INST] ${ask} [/INST] ${answer}</s>[INST] ${again} [/INST]`;
      expect(codec.chat(messages)).toEqual(
        library.encode(joined, { add_special_tokens: false }).ids,
      );
    }),
  );
});

test('a prompt begins as the config or the post processor says, and with a space where words do', () => {
  const llama = loadCodec(folderOf(sentencePieceBpe()));
  const cat = llama.encode(' cat');
  expect(llama.prompt('cat')).toEqual([1, ...cat]);
  expect(llama.encode('cat')).not.toEqual(cat);
  const { tokenizer, config } = byteLevelBpe();
  const start = 256 + 4;
  const single = [
    { SpecialToken: { id: '<|start|>', type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
  ];
  const template = {
    type: 'TemplateProcessing',
    single,
    pair: single,
    special_tokens: { '<|start|>': { id: '<|start|>', ids: [start], tokens: ['<|start|>'] } },
  };
  const post = { type: 'Sequence', processors: [tokenizer['post_processor'], template] };
  const begun = { ...tokenizer, post_processor: post };
  expect(loadCodec(folderOf({ tokenizer: begun, config })).prompt('a')).toEqual([start, 97]);
  const without = { ...config, add_bos_token: false };
  expect(loadCodec(folderOf({ tokenizer: begun, config: without })).prompt('a')).toEqual([97]);
});

const endsOf = (more: Readonly<Record<string, unknown>>): number[] => [
  ...loadCodec(folderOf(byteLevelBpe(), more)).vocabulary.ends,
];

test('end tokens are the tokenizer`s and those of generation_config.json, or else of config.json', () => {
  const [end, start] = [259, 260];
  expect(endsOf({})).toEqual([end]);
  expect(endsOf({ 'generation_config.json': { eos_token_id: start } })).toEqual([end, start]);
  expect(endsOf({ 'generation_config.json': { eos_token_id: [start, 64, end] } })).toEqual([
    end,
    start,
    64,
  ]);
  expect(endsOf({ 'config.json': { eos_token_id: 7 }, 'generation_config.json': {} })).toEqual([
    end,
    7,
  ]);
  expect(
    endsOf({ 'config.json': { eos_token_id: 7 }, 'generation_config.json': { eos_token_id: 8 } }),
  ).toEqual([end, 8]);
  for (const wrong of ['x', [1, null], -1, 1.5])
    expect(() => endsOf({ 'generation_config.json': { eos_token_id: wrong } })).toThrow(
      'generation_config.json: eos_token_id is',
    );
  expect(() => endsOf({ 'config.json': { eos_token_id: 261 } })).toThrow(
    'end token 261 is not in the vocabulary of 261 tokens',
  );
});

test('how two texts are joined is read of every kind of post processor, or refused', () => {
  const bert = { type: 'BertProcessing', sep: ['[SEP]', 102], cls: ['[CLS]', 101] };
  expect(readPair({ post_processor: bert }, 'f')).toEqual({
    before: [101],
    between: [102],
    after: [102],
    secondType: 1,
  });
  const roberta = { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] };
  const both = { type: 'Sequence', processors: [{ type: 'ByteLevel' }, roberta] };
  expect(readPair({ post_processor: both }, 'f')).toEqual({
    before: [0],
    between: [2, 2],
    after: [2],
    secondType: 0,
  });
  for (const post_processor of [null, { type: 'ByteLevel' }, { ...bert, cls: undefined }])
    expect(() => readPair({ post_processor }, 'tokenizer.json')).toThrow(
      /^tokenizer\.json: the post/,
    );
  const { pair, ...rest } = wordPiece().tokenizer['post_processor'] as { pair: unknown[] };
  for (const other of [pair.toReversed(), pair.slice(0, 2), []])
    expect(() => readPair({ post_processor: { ...rest, pair: other } }, 'f')).toThrow(
      'joins no two',
    );
});
