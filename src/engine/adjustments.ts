/** What a request's bias and penalties add to the log-probs of its row. */

import type { Sampling, Token } from '../core/tree.ts';

/** Log-probs to add per token: what bias and penalties make of a row. `scale` multiplies (repetition). */
interface Adjustment {
  readonly add: number;
  readonly scale: number;
}
export type Adjustments = ReadonlyMap<Token, Adjustment>;

/** The repetition penalty multiplies the log-prob. Written as a change, so that no change is exactly none: ties stay ties. */
export const adjusted = (value: number, norm: number, { add, scale }: Adjustment): number =>
  value === -Infinity ? value : value + add + (value - norm) * (scale - 1);

/**
 * What a request's bias and penalties make of its row, or null if it has none.
 * @param answer the tokens drawn so far
 * @param prompt the tokens of the prompt, for the repetition penalty
 */
export function adjustments(
  s: Sampling,
  answer: readonly Token[],
  prompt: readonly Token[],
): Adjustments | null {
  const penalised =
    s.presencePenalty !== 0 || s.frequencyPenalty !== 0 || s.repetitionPenalty !== 1;
  if (!penalised && s.logitBias.length === 0) return null;
  const counts = new Map<Token, number>();
  if (penalised) for (const token of answer) counts.set(token, (counts.get(token) ?? 0) + 1);
  const all = new Map<Token, Adjustment>();
  const set = (token: Token, add: number, scale: number): void => {
    const old = all.get(token);
    all.set(token, { add: (old?.add ?? 0) + add, scale: (old?.scale ?? 1) * scale });
  };
  if (s.repetitionPenalty !== 1)
    for (const token of new Set([...prompt, ...counts.keys()])) set(token, 0, s.repetitionPenalty);
  if (s.presencePenalty !== 0 || s.frequencyPenalty !== 0)
    for (const [token, n] of counts) set(token, -s.presencePenalty - n * s.frequencyPenalty, 1);
  for (const [token, bias] of s.logitBias) set(token, bias, 1);
  return all;
}
