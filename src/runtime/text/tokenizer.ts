/**
 * Text to tokens: the only file that knows @huggingface/tokenizers.
 * Special-token text in what a user wrote stays text: it is encoded by a twin tokenizer that cannot spell special
 * tokens, and contents enter a chat template as marks that nobody can guess.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';
import { ServeError } from '../../core/errors.ts';
import type { Vocabulary } from '../../core/model.ts';
import type { ChatMessage, Codec, Turn } from '../../core/text.ts';
import type { Token } from '../../core/tree.ts';
import { chatTemplate, type Piece } from './chat_template.ts';
import { endIds } from './ends.ts';
import { readJson } from '../json.ts';
import { readPair, readStart } from './pair.ts';
import { prefixOf, withoutPrefix, type Prefix } from './prefix.ts';
import { readVocabulary, unspecial, type TokenizerJson } from './vocabulary.ts';

interface TokenizerConfig {
  readonly bos_token?: SpecialToken | null;
  readonly eos_token?: SpecialToken | null;
  readonly add_bos_token?: boolean;
  readonly chat_template?: string | readonly { readonly name: string; readonly template: string }[];
}
type SpecialToken = string | { readonly content: string };

const spelling = (token: SpecialToken | null | undefined): string | null =>
  token === null || token === undefined ? null : typeof token === 'string' ? token : token.content;

/**
 * Reads the tokenizer and chat template of a Hugging Face folder: tokenizer.json, tokenizer_config.json, where there
 * is one chat_template.jinja, and the end tokens of generation_config.json or config.json beside the tokenizer's.
 * @throws Error that names the file if one is missing or of a kind we cannot read
 */
export function loadCodec(folder: string): Codec {
  const json = readJson<TokenizerJson>(join(folder, 'tokenizer.json'));
  const config = readJson<TokenizerConfig>(join(folder, 'tokenizer_config.json'));
  const [bos, eos] = [spelling(config.bos_token), spelling(config.eos_token)];
  if (eos === null) throw new Error(`${join(folder, 'tokenizer_config.json')} names no eos_token`);
  const vocabulary = readVocabulary(json, [eos], endIds(folder));
  const end = [...vocabulary.ends].slice(0, 1);
  const speller = new Speller(json, config);
  const start = startOf(json, bos, config);
  const source = templateOf(folder, config);
  const template = source === null ? null : chatTemplate(source.text, { bos, eos }, source.file);

  const spelled = (messages: readonly ChatMessage[]): Spelled[] => {
    if (template !== null) return speller.spell(template(messages));
    throw new ServeError('invalid_value', 'this model has no chat template', 'messages');
  };
  return {
    vocabulary,
    longestToken: longestToken(vocabulary),
    encode: (text) => speller.goOn(text.toWellFormed()),
    prompt: (text) => [...start, ...speller.begin(text.toWellFormed())],
    chat: (messages) => spelled(messages).flatMap(({ tokens }) => tokens),
    closing: (complete) => (complete ? end : []),
    turn: (content) => turnOf(spelled([ASKED, ANSWERED, { role: 'user', content }])),
    decode: decoding(vocabulary, speller.aware),
  };
}

/** Text of tokens: of their bytes, or with special tokens as the library spells them. */
const decoding =
  (vocabulary: Vocabulary, aware: Tokenizer): Codec['decode'] =>
  (tokens, special = false) =>
    special && tokens.length > 0 // the library throws for none
      ? aware.decode([...tokens], { skip_special_tokens: false })
      : join8(tokens.map((token) => vocabulary.bytes(token)));

/** What a prompt begins with: what the config says, or what the template of single texts has before them. */
function startOf(json: TokenizerJson, bos: string | null, config: TokenizerConfig): Token[] {
  if (config.add_bos_token === undefined) return readStart(json);
  const id = json.added_tokens?.find(({ content }) => content === bos)?.id;
  return config.add_bos_token && id !== undefined ? [id] : [];
}

/** A file of its own comes before the config's; of several in the config, the one called default. */
function templateOf(
  folder: string,
  { chat_template: given }: TokenizerConfig,
): { readonly text: string; readonly file: string } | null {
  const own = join(folder, 'chat_template.jinja');
  if (existsSync(own)) return { text: readFileSync(own, 'utf8'), file: own };
  const file = join(folder, 'tokenizer_config.json');
  if (typeof given === 'string') return { text: given, file };
  const named = given?.find(({ name }) => name === 'default');
  return named === undefined ? null : { text: named.template, file };
}

/** A piece of a chat, in tokens. */
interface Spelled extends Piece {
  readonly tokens: readonly Token[];
}

/** Spells texts that begin and texts that go on; what users wrote without special tokens, templates with them. */
class Speller {
  readonly aware: Tokenizer;
  readonly #plain: Tokenizer;
  /** Puts no space before a text. */
  readonly #bare: Tokenizer;
  readonly #prefix: Prefix;
  readonly #added: ReadonlySet<Token>;
  readonly #names: readonly string[];

  constructor(json: TokenizerJson, config: TokenizerConfig) {
    this.aware = new Tokenizer(json, config);
    this.#prefix = prefixOf(json);
    this.#plain = new Tokenizer(unspecial(json), config);
    this.#bare =
      this.#prefix === 'never'
        ? this.#plain
        : new Tokenizer(unspecial(withoutPrefix(json)), config);
    const added = json.added_tokens ?? [];
    this.#added = new Set(added.map(({ id }) => id));
    this.#names = added.map(({ content }) => content);
  }

  begin(text: string): Token[] {
    return encode(this.#plain, text);
  }

  goOn(text: string): Token[] {
    return encode(this.#bare, text);
  }

  /** The pieces of a whole chat, as the tokenizer would cut their joined text. */
  spell(pieces: readonly Piece[]): Spelled[] {
    let before: Token | null = null; // nothing
    return spacesMoved(pieces).map((piece) => {
      const begins = before === null || (this.#prefix === 'sections' && this.#added.has(before));
      const tokens = this.#piece(piece, begins);
      before = tokens.at(-1) ?? before;
      return { ...piece, tokens };
    });
  }

  #piece({ text, message }: Piece, begins: boolean): Token[] {
    if (message !== null) return begins ? this.begin(text) : this.goOn(text);
    if (begins || this.#prefix === 'never') return encode(this.aware, text);
    const found = this.#names.map((name) => text.indexOf(name)).filter((at) => at >= 0);
    const cut = Math.min(text.length, ...found);
    return [...this.goOn(text.slice(0, cut)), ...encode(this.aware, text.slice(cut))];
  }
}

/** A space before a content belongs to its first word: tokenizers spell the two together. */
function spacesMoved(pieces: readonly Piece[]): Piece[] {
  const moves = pieces.map(({ text, message }, i) => {
    const next = pieces[i + 1];
    return message === null && /(^|[^ ]) $/.test(text) && next !== undefined && next.text !== '';
  });
  return pieces.map((piece, i) => {
    const led = moves[i - 1] === true ? ` ${piece.text}` : piece.text;
    return { ...piece, text: moves[i] === true ? led.slice(0, -1) : led };
  });
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
    decode: decoding(vocabulary, new Tokenizer(json, config)),
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

const ASKED = { role: 'user', content: '' } as const;
const ANSWERED = { role: 'assistant', content: '' } as const;

/** @param spelled a question, an answer and the turn that follows it */
function turnOf(spelled: readonly Spelled[]): Turn {
  const [answer, turn] = [1, 2].map((at) => spelled.findLastIndex(({ message }) => message === at));
  if (answer === undefined || turn === undefined || answer < 0 || turn < answer)
    throw new ServeError(
      'invalid_value',
      "the model's chat template has no place for a user's turn after an answer",
    );
  const tokens = (from: number, to?: number): Token[] =>
    spelled.slice(from, to).flatMap((piece) => piece.tokens);
  return {
    lead: tokens(answer + 1, turn),
    content: tokens(turn, turn + 1),
    rest: tokens(turn + 1),
  };
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function join8(parts: readonly Uint8Array[]): string {
  return utf8.decode(Buffer.concat(parts));
}
