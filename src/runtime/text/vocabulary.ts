/**
 * The bytes of every token, read once from tokenizer.json. Text is then the UTF-8 of the tokens' bytes joined,
 * so that decoding token by token never depends on the neighbours. The length of this table is the vocabulary.
 */

import { randomUUID } from 'node:crypto';
import type { Vocabulary } from '../../core/model.ts';
import type { Token } from '../../core/tree.ts';

/** The parts of tokenizer.json that are read here. */
export interface TokenizerJson {
  readonly model: {
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly unk_token?: string | null;
  };
  readonly added_tokens?: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
  readonly decoder?: unknown;
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly post_processor?: unknown;
}

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * @param ends texts of the tokens that end an answer
 * @param more ids of others that do
 * @throws Error if the tokenizer is neither byte-level, sentencepiece-like nor of word pieces, or lacks an end token
 */
export function readVocabulary(
  json: TokenizerJson,
  ends: readonly string[],
  more: readonly Token[] = [],
): Vocabulary {
  const spell = speller(json.decoder);
  const table: Uint8Array[] = [];
  const pieces = Array.isArray(json.model.vocab)
    ? json.model.vocab.map(([piece], id) => [piece, id] as const)
    : Object.entries(json.model.vocab);
  for (const [piece, id] of pieces) table[id] = spell(piece as string);
  const ids = new Map(pieces as readonly (readonly [string, Token])[]);
  const names: string[] = [];
  const special = new Set<Token>();
  for (const { id, content, special: isSpecial } of json.added_tokens ?? []) {
    ids.set(content, id);
    table[id] = isSpecial ? EMPTY : encoder.encode(content);
    if (isSpecial) special.add(id);
  }
  const endIds = ends.map((end) => {
    const id = ids.get(end);
    if (id === undefined) throw new Error(`the end token ${end} is not in the vocabulary`);
    return id;
  });
  for (const [piece, id] of ids) names[id] = piece;
  const beyond = more.find((id) => id >= table.length);
  if (beyond !== undefined)
    throw new Error(`end token ${beyond} is not in the vocabulary of ${table.length} tokens`);
  const allEnds = new Set([...endIds, ...more]);
  const bytes = Array.from(table, (piece) => piece ?? EMPTY); // ids may have holes
  return {
    size: bytes.length,
    bytes: (token) => bytes[token] ?? EMPTY,
    piece: (token) => names[token] ?? '',
    ends: allEnds,
    banned: [...special].filter((id) => !allEnds.has(id)).toSorted((a, b) => a - b),
  };
}

/** The first token that two vocabularies do not share, in words; null where they mean the same by every id. */
export function differenceOf(here: Vocabulary, there: Vocabulary): string | null {
  if (here === there) return null;
  const longest = Math.max(here.size, there.size);
  for (let id = 0; id < longest; id++) {
    if (id < here.size && id < there.size && here.piece(id) === there.piece(id)) continue;
    const spell = (v: Vocabulary): string =>
      id < v.size ? JSON.stringify(v.piece(id)) : 'nothing';
    return `token ${id} is ${spell(there)} there and ${spell(here)} here`;
  }
  return null;
}

/** How a piece of the vocabulary spells bytes, by the kind of decoder. */
function speller(decoder: unknown): (piece: string) => Uint8Array {
  const kinds = JSON.stringify(decoder ?? null);
  if (kinds.includes('"ByteLevel"')) return byteLevel();
  if (kinds.includes('"WordPiece"')) return wordPiece(decoder);
  if (kinds.includes('"ByteFallback"') || kinds.includes('"Metaspace"')) return sentencePiece;
  throw new Error(
    'tokenizer.json has a decoder that is neither ByteLevel, WordPiece nor sentencepiece-like (ByteFallback, Metaspace)',
  );
}

/** GPT-2's byte alphabet: printable bytes stand for themselves, the rest for 256, 257, ... in order. */
function byteLevel(): (piece: string) => Uint8Array {
  const printable = (b: number): boolean =>
    (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  const byte = new Map<string, number>();
  let next = 256;
  for (let b = 0; b < 256; b++) byte.set(String.fromCodePoint(printable(b) ? b : next++), b);
  return (piece) =>
    Uint8Array.from([...piece].flatMap((c) => byte.get(c) ?? [...encoder.encode(c)]));
}

function sentencePiece(piece: string): Uint8Array {
  const hex = /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1];
  return hex === undefined
    ? encoder.encode(piece.replaceAll('▁', ' '))
    : Uint8Array.of(Number.parseInt(hex, 16));
}

/** A piece begins a word, unless it is marked to go on with one. */
function wordPiece(decoder: unknown): (piece: string) => Uint8Array {
  const { prefix = '##' } = decoder as { readonly prefix?: string };
  return (piece) =>
    encoder.encode(piece.startsWith(prefix) ? piece.slice(prefix.length) : ` ${piece}`);
}

/**
 * The same tokenizer, but that no text can spell a special token. It is not enough to leave the added tokens out:
 * Unigram models hold them as pieces with the best of scores, and some BPE ones take a piece whole.
 */
export function unspecial(json: TokenizerJson): TokenizerJson {
  const special = new Map<string, string>();
  for (const { content, id, special: is } of json.added_tokens ?? [])
    if (is) special.set(content, `${randomUUID()}-${id}`);
  const { vocab, unk_token: unknown } = json.model;
  const renamed = (piece: string): string => special.get(piece) ?? piece;
  return {
    ...json,
    added_tokens: [],
    model: {
      ...json.model,
      vocab: Array.isArray(vocab)
        ? (vocab as readonly (readonly [string, number])[]).map(
            ([piece, score]) => [renamed(piece), score] as const,
          )
        : Object.fromEntries(Object.entries(vocab).map(([piece, id]) => [renamed(piece), id])),
      ...(typeof unknown === 'string' ? { unk_token: renamed(unknown) } : {}),
    },
  };
}
