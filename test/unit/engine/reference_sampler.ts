/** The sampling rule written out plainly over a whole row: what the engine's sampler is held to. */

import type { Mixed } from '../../../src/core/model.ts';
import type { Sampling } from '../../../src/core/tree.ts';
import type { Adjustments } from '../../../src/engine/adjustments.ts';
import { fakeTail, logSumExp } from '../../fakes/tail.ts';

interface Candidate {
  readonly token: number;
  readonly value: number;
}

/** One row of a law given by unnormalised log-probs, as a tail of two lanes would leave it. */
export function mixedOf(combined: readonly number[], temperature: number): Mixed {
  const vocab = combined.length;
  const tempered = temperature !== 0 && temperature !== 1;
  const tail = fakeTail({ vocab }, { widths: [vocab, vocab], tempered, cutting: false, top: 64 });
  const lane = Float64Array.from(combined);
  // Twice the policy, minus half of itself: an unnormalised mixture whose law is p^1.5.
  const weights = Float64Array.of(2, -0.5);
  return tail.mix(1, [lane, lane], {
    weights,
    inverse: Float64Array.of(tempered ? 1 / temperature : 1),
    cuts: Float64Array.of(-Infinity),
  });
}

/** Probabilities from the likeliest down; ties with the k-th stay; nothing is kept that may not be. */
export function referenceLaw(mixed: Mixed, s: Sampling, adjustments: Adjustments | null): number[] {
  const candidates = candidatesOf(mixed, s, adjustments);
  const law = Array.from(mixed.combined, () => 0);
  if (s.temperature === 0) law[candidates[0]!.token] = 1;
  else {
    const kept = truncated(candidates, s);
    const z = logSumExp(kept.map(({ value }) => value));
    for (const { token, value } of kept) law[token] = Math.exp(value - z);
  }
  return law;
}

/** Inverse CDF over the kept tokens, the likeliest first. */
export function referenceDraw(
  mixed: Mixed,
  s: Sampling,
  adjustments: Adjustments | null,
  u: number,
): { token: number; distance: number } {
  const law = referenceLaw(mixed, s, adjustments);
  let [before, distance] = [0, 1];
  for (const { token } of candidatesOf(mixed, s, adjustments)) {
    before += law[token]!;
    distance = Math.min(distance, Math.abs(before - u));
    if (u < before) return { token, distance };
  }
  return { token: -1, distance: 0 };
}

function candidatesOf(mixed: Mixed, s: Sampling, adjustments: Adjustments | null): Candidate[] {
  const norm = logSumExp(mixed.combined);
  return Array.from(mixed.combined, (combined, token) => {
    const { add, scale } = adjustments?.get(token) ?? { add: 0, scale: 1 };
    const value = ((combined - norm) * scale + add) / (s.temperature === 0 ? 1 : s.temperature);
    return { token, value };
  })
    .filter(({ value }) => value > -Infinity)
    .toSorted((a, b) => b.value - a.value || a.token - b.token);
}

function truncated(candidates: Candidate[], s: Sampling): Candidate[] {
  let kept = candidates;
  const kth = kept[s.topK - 1];
  if (s.topK > 0 && kth !== undefined)
    kept = kept.filter(({ value }) => value >= kth.value - 1e-12);
  const z = logSumExp(kept.map(({ value }) => value));
  let before = 0;
  if (s.topP < 1)
    kept = kept.filter(({ value }) => {
      const keep = before === 0 || before < s.topP; // of 0: the likeliest
      before += Math.exp(value - z);
      return keep;
    });
  if (s.minP > 0) kept = kept.filter(({ value }) => value >= kept[0]!.value + Math.log(s.minP));
  return kept;
}
