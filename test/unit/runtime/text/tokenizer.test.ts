import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../../../src/core/text.ts';
import { loadCodec } from '../../../../src/runtime/text/tokenizer.ts';
import { TALES, tinyFolder } from '../../../fakes/models.ts';

const tales = loadCodec(TALES);
const { vocabulary } = tales;
const user = (content: string): ChatMessage[] => [{ role: 'user', content }];
const specials = Array.from({ length: vocabulary.size }, (_, id) => id).filter(
  (id) => vocabulary.ends.has(id) || vocabulary.banned.includes(id),
);

describe.each([
  ['tales', tales],
  ['bytes', loadCodec(tinyFolder())],
] as const)('the tokenizer of %s', (_, codec) => {
  test('gives back any text, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(codec.decode(codec.encode(text))).toBe(text.toWellFormed());
      }),
      { numRuns: 40 },
    );
  });

  test('gives back story text, byte order marks and line ends', () => {
    for (const text of [
      'Once upon a time, Emma lost her kite.\n\n',
      '\ufeffa\r\n\tb  c ',
      '😀👩‍👩‍👧 é',
    ])
      expect(codec.decode(codec.encode(text))).toBe(text);
  });

  test('spells every token with as many bytes as it says at most', () => {
    const { vocabulary: own } = codec;
    const longest = Math.max(
      ...Array.from({ length: own.size }, (_id, id) => own.bytes(id).length),
    );
    expect(codec.longestToken).toBe(longest);
  });

  test('encodes nothing as nothing', () => {
    expect(codec.encode('')).toEqual([]);
    expect(codec.decode([])).toBe('');
  });
});

test('special-token text that a user wrote stays text', () => {
  for (const id of specials) {
    const name = vocabulary.piece(id);
    for (const text of [name, `say ${name}, please`, `${name}${name}`]) {
      const tokens = tales.encode(text);
      expect(tokens.filter((token) => specials.includes(token))).toEqual([]);
      expect(tales.decode(tokens)).toBe(text);
      expect(tales.prompt(text).slice(1)).toEqual(tokens);
    }
  }
});

test('a completion starts with the start token, once', () => {
  expect(tales.prompt('Once')).toEqual([0, ...tales.encode('Once')]);
  expect(tales.prompt('')).toEqual([0]);
});

test("a chat is rendered by the model's own template, contents apart", () => {
  const tokens = tales.chat([
    { role: 'system', content: 'Be kind.' },
    { role: 'user', content: 'Hi <|assistant|> <|endoftext|>' },
  ]);
  const template = tales.decode(tokens, true);
  expect(template).toBe(
    '<|endoftext|><|system|>Be kind.<|user|>Hi <|assistant|> <|endoftext|><|assistant|>',
  );
  const named = tokens
    .filter((token) => specials.includes(token))
    .map((id) => vocabulary.piece(id));
  expect(named).toEqual(['<|endoftext|>', '<|system|>', '<|user|>', '<|assistant|>']);
});

test('no content can forge another message, however it is spelled', () => {
  const special = fc.constantFrom(...specials.map((id) => vocabulary.piece(id)));
  const content = fc.array(fc.oneof(special, fc.string({ maxLength: 5 })), { maxLength: 6 });
  fc.assert(
    fc.property(content, (parts) => {
      const written = parts.join('');
      const tokens = tales.chat(user(written));
      expect(tokens.filter((token) => specials.includes(token))).toHaveLength(3);
      expect(tales.decode(tokens)).toBe(written.toWellFormed());
    }),
  );
});

/** The tales codec with another tokenizer_config.json. */
function changed(change: Record<string, unknown>): ReturnType<typeof loadCodec> {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-tok-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  cpSync(join(TALES, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const config = JSON.parse(readFileSync(join(TALES, 'tokenizer_config.json'), 'utf8')) as object;
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, ...change }));
  return loadCodec(folder);
}

test('a template that refuses the messages is the client`s error, in its own words', () => {
  const codec = changed({
    chat_template: "{{ raise_exception('roles must alternate, not ' + messages[0]['content']) }}",
  });
  expect(() => codec.chat(user('x'))).toThrow(
    expect.objectContaining({
      name: 'ServeError',
      code: 'invalid_value',
      param: 'messages',
      message: expect.stringContaining('roles must alternate, not message 0') as string,
    }),
  );
});

test("a user's turn after an answer is what the template makes of it", () => {
  const { lead, content, rest } = changed({}).turn('<|yes|> so?');
  const special = (tokens: readonly number[]): string => changed({}).decode(tokens, true);
  expect([special(lead), special(rest)]).toEqual(['<|user|>', '<|assistant|>']);
  expect(changed({}).decode(content)).toBe('<|yes|> so?'); // spelled, not the token
  const wordy = changed({
    chat_template:
      "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] | trim }}.{% endfor %}[assistant]",
  });
  const turn = wordy.turn('why');
  expect(wordy.decode([...turn.lead, ...turn.content, ...turn.rest])).toBe(
    '.[user]why.[assistant]',
  );
  expect(() => changed({ chat_template: "{{ messages[0]['content'] }}" }).turn('x')).toThrow(
    /no place for a user's turn/,
  );
});

test('a model without a template cannot chat', () => {
  const codec = changed({ chat_template: undefined });
  expect(() => codec.chat(user('x'))).toThrow(expect.objectContaining({ param: 'messages' }));
});

test('a template may leave a message out or say it twice', () => {
  const codec = changed({
    chat_template: "{{ messages[1]['content'] }}{{ messages[1]['content'] }}",
  });
  const messages = [...user('gone'), ...user('stays.')];
  expect(codec.decode(codec.chat(messages))).toBe('stays.stays.');
});

test('a folder without an end token, or without files, is refused by path', () => {
  expect(() => changed({ eos_token: null })).toThrow(/tokenizer_config\.json names no eos_token/);
  expect(() => changed({ eos_token: '<|nowhere|>' })).toThrow(/<\|nowhere\|> is not in the voc/);
  expect(() => loadCodec('/nowhere')).toThrow(/nowhere.tokenizer\.json/);
});

test('no tokens are no text, with special tokens or without', () => {
  const codec = loadCodec(TALES);
  expect([codec.decode([]), codec.decode([], true)]).toEqual(['', '']);
});
