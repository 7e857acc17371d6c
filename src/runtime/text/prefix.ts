/** Where a tokenizer puts a space before a text that has none: sentencepiece begins words with one. */

import type { TokenizerJson } from './vocabulary.ts';

/** Before every section between added tokens, before the first of a text, or nowhere. */
export type Prefix = 'sections' | 'first' | 'never';

type Part = Readonly<Record<string, unknown>>;

export function prefixOf({ normalizer, pre_tokenizer }: TokenizerJson): Prefix {
  const kinds = partsOf([normalizer, pre_tokenizer]).map(ofPart);
  return kinds.find((kind) => kind !== 'never') ?? 'never';
}

function ofPart(part: Part): Prefix {
  const { type, prepend_scheme: scheme, add_prefix_space: adds } = part;
  if (type === 'Prepend') return 'sections';
  if (type === 'ByteLevel') return adds === true ? 'sections' : 'never';
  if (type !== 'Metaspace' || scheme === 'never' || adds === false) return 'never';
  return scheme === 'first' ? 'first' : 'sections';
}

/** The same tokenizer for texts that go on. */
export const withoutPrefix = (json: TokenizerJson): TokenizerJson => ({
  ...json,
  normalizer: without(json.normalizer),
  pre_tokenizer: without(json.pre_tokenizer),
});

/** The parts of sequences, one by one. */
function partsOf(value: unknown): Part[] {
  if (Array.isArray(value)) return value.flatMap(partsOf);
  if (typeof value !== 'object' || value === null) return [];
  const part = value as Part;
  return [part, ...partsOf(part['normalizers']), ...partsOf(part['pretokenizers'])];
}

function without(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(without).filter((part) => part !== null);
  if (typeof value !== 'object' || value === null) return value;
  const part = { ...value } as Part;
  if (part['type'] === 'Prepend') return null;
  if (ofPart(part) !== 'never')
    return { ...part, prepend_scheme: 'never', add_prefix_space: false };
  return {
    ...part,
    ...('normalizers' in part ? { normalizers: without(part['normalizers']) } : {}),
    ...('pretokenizers' in part ? { pretokenizers: without(part['pretokenizers']) } : {}),
  };
}
