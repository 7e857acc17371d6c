/**
 * Text to tokens: the only file that knows @huggingface/tokenizers and @huggingface/jinja.
 * Special-token text in what a user wrote stays text: it is encoded by a twin tokenizer that cannot spell special
 * tokens, and contents enter a chat template as marks that nobody can guess.
 */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { ServeError } from '../core/errors.ts';
import type { Vocabulary } from '../core/model.ts';
import type { ChatMessage, Codec, Turn } from '../core/text.ts';
import type { Token } from '../core/tree.ts';
import { readJson } from './json.ts';
import { readPair } from './pair.ts';
import { readVocabulary, unspecial, type TokenizerJson } from './vocabulary.ts';

interface TokenizerConfig {
  readonly bos_token?: SpecialToken | null;
  readonly eos_token?: SpecialToken | null;
  readonly add_bos_token?: boolean;
  readonly chat_template?: string;
}
type SpecialToken = string | { readonly content: string };

const spelling = (token: SpecialToken | null | undefined): string | null =>
  token === null || token === undefined ? null : typeof token === 'string' ? token : token.content;

/**
 * Reads tokenizer.json and tokenizer_config.json of a Hugging Face folder.
 * @throws Error that names the file if one is missing or of a kind we cannot read
 */
export function loadCodec(folder: string): Codec {
  const json = readJson<TokenizerJson>(join(folder, 'tokenizer.json'));
  const config = readJson<TokenizerConfig>(join(folder, 'tokenizer_config.json'));
  const [bos, eos] = [spelling(config.bos_token), spelling(config.eos_token)];
  if (eos === null) throw new Error(`${join(folder, 'tokenizer_config.json')} names no eos_token`);
  const vocabulary = readVocabulary(json, [eos]);
  const end = [...vocabulary.ends].slice(0, 1);

  const aware = new Tokenizer(json, config);
  const plain = new Tokenizer(unspecial(json), config);
  const start = bos !== null && config.add_bos_token === true ? encode(aware, bos) : [];
  const template = config.chat_template === undefined ? null : new Template(config.chat_template);

  const pieces = (messages: readonly ChatMessage[]): Piece[] => {
    if (template !== null) return render(template, messages, { bos, eos });
    throw new ServeError('invalid_value', 'this model has no chat template', 'messages');
  };
  const tokensOf = (some: readonly Piece[]): Token[] =>
    some.flatMap(({ text, message }) => encode(message === null ? aware : plain, text));

  return {
    vocabulary,
    longestToken: longestToken(vocabulary),
    encode: (text) => encode(plain, text.toWellFormed()),
    prompt: (text) => [...start, ...encode(plain, text.toWellFormed())],
    chat: (messages) => tokensOf(pieces(messages)),
    closing: (complete) => (complete ? end : []),
    turn: (content) => turnOf(pieces([ASKED, ANSWERED, { role: 'user', content }]), tokensOf),
    decode: (tokens, special = false) =>
      special && tokens.length > 0 // the library throws for none
        ? aware.decode([...tokens], { skip_special_tokens: false })
        : join8(tokens.map((token) => vocabulary.bytes(token))),
  };
}

/**
 * Reads the tokenizer of an encoder, which reads two texts as its template joins them: a prompt and the answer. It
 * has no turns: of a chat it reads the contents, a line each.
 * @throws Error that names the file if it is missing, of a kind we cannot read, or knows no pairs
 */
export function loadPairCodec(folder: string): Codec {
  const json = readJson<TokenizerJson>(join(folder, 'tokenizer.json'));
  const config = readJson<TokenizerConfig>(join(folder, 'tokenizer_config.json'));
  const vocabulary = readVocabulary(json, []);
  const { before, between, after } = readPair(json, join(folder, 'tokenizer.json'));
  const plain = new Tokenizer(unspecial(json), config);
  const aware = new Tokenizer(json, config);
  const text = (written: string): Token[] => encode(plain, written.toWellFormed());
  const prompt = (written: string): Token[] => [...before, ...text(written), ...between];
  return {
    vocabulary,
    longestToken: longestToken(vocabulary),
    encode: text,
    prompt,
    chat: (messages) => prompt(messages.map(({ content }) => content).join('\n')),
    closing: () => after,
    turn() {
      throw new ServeError('invalid_value', 'an encoder reads no turns');
    },
    decode: (tokens, special = false) =>
      special && tokens.length > 0
        ? aware.decode([...tokens], { skip_special_tokens: false })
        : join8(tokens.map((token) => vocabulary.bytes(token))),
  };
}

const encode = (tokenizer: Tokenizer, text: string): Token[] =>
  text === '' ? [] : tokenizer.encode(text, { add_special_tokens: false }).ids;

function longestToken(vocabulary: Vocabulary): number {
  let longest = 0;
  for (let id = 0; id < vocabulary.size; id++)
    longest = Math.max(longest, vocabulary.bytes(id).length);
  return longest;
}

interface Piece {
  readonly text: string;
  /** Which message's content it is; null: the template's own. */
  readonly message: number | null;
}

const ASKED = { role: 'user', content: '' } as const;
const ANSWERED = { role: 'assistant', content: '' } as const;

/** @param pieces of a question, an answer and the turn that follows it */
function turnOf(pieces: readonly Piece[], tokensOf: (some: readonly Piece[]) => Token[]): Turn {
  const [answer, turn] = [1, 2].map((at) => pieces.findLastIndex(({ message }) => message === at));
  if (answer === undefined || turn === undefined || answer < 0 || turn < answer)
    throw new ServeError(
      'invalid_value',
      "the model's chat template has no place for a user's turn after an answer",
    );
  return {
    lead: tokensOf(pieces.slice(answer + 1, turn)),
    content: tokensOf(pieces.slice(turn, turn + 1)),
    rest: tokensOf(pieces.slice(turn + 1)),
  };
}

/** Runs the template over marks in place of contents, then cuts at the marks. */
function render(
  template: Template,
  messages: readonly ChatMessage[],
  { bos, eos }: { bos: string | null; eos: string },
): Piece[] {
  const mark = `mark-${randomUUID()}-`;
  const marked = messages.map(({ role }, i) => ({ role, content: `${mark}${i}.` }));
  let text: string;
  try {
    text = template.render({
      messages: marked,
      add_generation_prompt: true,
      bos_token: bos ?? '',
      eos_token: eos,
    });
  } catch (error) {
    throw new ServeError(
      'invalid_value',
      `the model's chat template refuses these messages: ${(error as Error).message.replaceAll(mark, 'message ')}`,
      'messages',
    );
  }
  return text
    .split(new RegExp(`${mark}(\\d+)\\.`))
    .map((piece, i) =>
      i % 2 === 0
        ? { text: piece, message: null }
        : { text: messages[Number(piece)]!.content.toWellFormed(), message: Number(piece) },
    );
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function join8(parts: readonly Uint8Array[]): string {
  return utf8.decode(Buffer.concat(parts));
}
