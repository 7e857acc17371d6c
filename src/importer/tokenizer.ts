/** Whether a tokenizer belongs to a model of this vocabulary. */

import type { Json } from './checkpoint.ts';

/** Throws if tokenizer.json has no tokens, or one beyond the embedding, which would be read out of bounds. */
export function checkTokenizer({ model, added_tokens }: Json, from: string, vocab: number): void {
  const pieces = (model as { vocab?: unknown } | undefined)?.vocab;
  const ids: readonly unknown[] = Array.isArray(pieces)
    ? [...pieces.keys()] // Unigram: a list of [piece, score]; its place is the id
    : Object.values(pieces ?? {});
  const added = Array.isArray(added_tokens) ? added_tokens : [];
  const all = [...ids, ...added.map((token: { id?: unknown } | null) => token?.id)];
  if (all.length === 0) throw new Error(`${from}: tokenizer.json has no vocabulary`);
  const wrong = all.find(
    (id) => !(Number.isSafeInteger(id) && Number(id) >= 0 && Number(id) < vocab),
  );
  if (wrong !== undefined)
    throw new Error(
      `${from}: tokenizer.json has token id ${JSON.stringify(wrong)}; the model has ${vocab} tokens`,
    );
}
