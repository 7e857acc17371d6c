/** How a tokenizer joins two texts: [CLS] a [SEP] b [SEP], as the post processor of tokenizer.json says it. */

import type { Token } from '../../core/tree.ts';

export interface Pair {
  readonly before: readonly Token[];
  readonly between: readonly Token[];
  readonly after: readonly Token[];
  /** Token type of the second text and what follows it; all before it is of type 0. */
  readonly secondType: number;
}

interface Processor {
  readonly type?: string;
  readonly processors?: readonly Processor[];
  readonly single?: readonly Item[];
  readonly pair?: readonly Item[];
  readonly special_tokens?: Readonly<Record<string, { readonly ids?: readonly Token[] }>>;
  readonly cls?: readonly [string, Token];
  readonly sep?: readonly [string, Token];
}

interface Item {
  readonly SpecialToken?: { readonly id: string; readonly type_id: number };
  readonly Sequence?: { readonly id: string; readonly type_id: number };
}

/** @throws Error that names the file if it joins no two texts, or in a way that an answer cannot follow a prompt */
export function readPair(json: { readonly post_processor?: unknown }, file: string): Pair {
  const all = flat(json.post_processor ?? {});
  for (const processor of all) {
    const read = READERS[processor.type ?? ''];
    const pair = read?.(processor);
    if (pair) return pair;
  }
  const kinds = all.map(({ type }) => type ?? 'none').join(', ');
  throw new Error(
    `${file}: the post processor (${kinds}) joins no two texts as an encoder reads them: [CLS] a [SEP] b [SEP]`,
  );
}

/** Tokens that stand before a single text; none where the post processor says nothing of it. */
export function readStart(json: { readonly post_processor?: unknown }): Token[] {
  for (const { type, single = [], special_tokens: named = {} } of flat(json.post_processor ?? {})) {
    if (type !== 'TemplateProcessing') continue;
    const text = single.findIndex(({ Sequence: one }) => one !== undefined);
    return single
      .slice(0, text)
      .flatMap(({ SpecialToken: one }) => named[one?.id ?? '']?.ids ?? []);
  }
  return [];
}

const flat = (processor: Processor): Processor[] =>
  processor.type === 'Sequence' ? (processor.processors ?? []).flatMap(flat) : [processor];

const READERS: Readonly<Record<string, (processor: Processor) => Pair | null>> = {
  TemplateProcessing: ofTemplate,
  BertProcessing: ({ cls, sep }) =>
    cls && sep ? { before: [cls[1]], between: [sep[1]], after: [sep[1]], secondType: 1 } : null,
  RobertaProcessing: ({ cls, sep }) =>
    cls && sep
      ? { before: [cls[1]], between: [sep[1], sep[1]], after: [sep[1]], secondType: 0 }
      : null,
};

function ofTemplate({ pair = [], special_tokens: named = {} }: Processor): Pair | null {
  const at = (id: string): number => pair.findIndex(({ Sequence: text }) => text?.id === id);
  const [a, b] = [at('A'), at('B')];
  if (a < 0 || b < a) return null;
  const tokens = (from: number, to: number): Token[] | null => {
    const ids = pair.slice(from, to).map(({ SpecialToken: one }) => named[one?.id ?? '']?.ids);
    return ids.includes(undefined) ? null : ids.flatMap((each) => each ?? []);
  };
  const types = pair.map((item) => (item.SpecialToken ?? item.Sequence)?.type_id ?? 0);
  const secondType = types[b] ?? 0;
  const [before, between, after] = [tokens(0, a), tokens(a + 1, b), tokens(b + 1, pair.length)];
  if (before === null || between === null || after === null || between.length === 0) return null;
  const isSplit = types.every((type, i) => type === (i < b ? 0 : secondType));
  return isSplit ? { before, between, after, secondType } : null;
}

/** The type of each token of a row that begins as a pair does. Users cannot spell what stands between the texts. */
export function typesOf(row: readonly Token[], { between, secondType }: Pair): number[] {
  const starts = row.findIndex((_, i) => between.every((token, j) => row[i + j] === token));
  const second = starts < 0 ? row.length : starts + between.length;
  return row.map((_, i) => (i < second ? 0 : secondType));
}
