/** POST /v1/rerank, /rerank and /v2/rerank, in the words of vLLM, Jina and Cohere: documents by what a reward makes of them after a query. */

import { parseRerank } from '../plan/rerank.ts';
import type { Reranking } from '../plan/rerank.ts';
import type { ScoringSurface } from './score_texts.ts';

/** @param documents whether results hold their document where the request does not say */
const surface = (endpoint: string, documents: boolean): ScoringSurface<Reranking> => ({
  endpoint,
  idPrefix: 'rerank-',
  parse: parseRerank,
  answer(scores, { texts, top, returns }) {
    const judged = scores
      .map(({ value, parts }, index) => ({ index, value, parts }))
      .filter(({ value }) => Number.isFinite(value));
    const unjudged = [...scores.keys()].filter((i) => !Number.isFinite(scores[i]!.value));
    return {
      results: judged
        .toSorted((a, b) => b.value - a.value)
        .slice(0, top)
        .map(({ index, value }) => ({
          index,
          relevance_score: value,
          ...((returns ?? documents) ? { document: { text: texts[index] } } : {}),
        })),
      ...(unjudged.length > 0 ? { unjudged } : {}),
    };
  },
});

export const reranks: readonly ScoringSurface<Reranking>[] = [
  surface('/v1/rerank', true),
  surface('/rerank', true),
  surface('/v2/rerank', false),
];
