/** A rerank body made valid: one query, the documents that answer it, and how many of them to name. */

import {
  anything,
  check,
  flag,
  integer,
  perLimits,
  strict,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import type { Catalog, Limits } from './catalog.ts';
import { scoringOf, textPairs } from './score.ts';
import type { Scoring } from './score.ts';
import { rewardParts } from './wire.ts';

export interface Reranking extends Scoring {
  readonly texts: readonly string[];
  readonly top: number;
  /** Whether results hold their document; null: as the endpoint has it. */
  readonly returns: boolean | null;
}

export const rerankSchema = perLimits((limits: Limits) =>
  tolerant({
    model: text(256, 1).nullish(),
    query: text(1_000_000),
    documents: anything,
    top_n: integer(1, 1_000_000).nullish(),
    return_documents: flag.nullish(),
    alignment: strict(rewardParts(limits)).nullish(),
  }),
);

export function parseRerank(raw: unknown, catalog: Catalog): Reranking {
  const wire = check(rerankSchema(catalog.limits), raw, '');
  if (!Array.isArray(wire.documents))
    throw wrong('documents', wire.documents, 'a list of strings, or of {"text": string}');
  const documents: readonly unknown[] = wire.documents;
  const pairs = textPairs(wire.query, documents.map(textOf), catalog, 'query');
  return {
    ...scoringOf(wire, pairs, true, catalog),
    texts: pairs.map(({ document }) => document),
    top: wire.top_n ?? pairs.length,
    returns: wire.return_documents ?? null,
  };
}

const textOf = (document: unknown): unknown =>
  typeof document === 'object' && document !== null && 'text' in document
    ? document.text
    : document;
