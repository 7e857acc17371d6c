/**
 * Self-truncation (ST-BoN, Wang et al. 2025): no reward. All n answers grow side by side until at step c no two of them are
 * alike, or one has ended; then for a window of tau = w c tokens more. An answer's chain of embedding is how its mean state
 * h_0, ..., h_L moves from layer to layer, against how it moves over all of them:
 *   F = 1/L sum_l |h_l+1 - h_l| / |h_L - h_0|  -  1/L sum_l angle(h_l+1, h_l) / angle(h_L, h_0)         (1)
 * and the answer that is most like the others is the likeliest to be right:
 *   S_i = 1/(n-1) sum_j (F_i - F_j)^2                                                                   (2)
 * Each step votes for the least S_i; whoever has most of the last tau votes goes on alone.                (3)
 */

import { z } from 'zod';
import { either, number, read, strict } from '../../core/fields.ts';
import { sum } from '../../core/math.ts';
import type { Search } from '../../core/strategy.ts';
import type { Branch, Tree } from '../../core/tree.ts';
import { alive, toTheEnd } from '../select.ts';
import type { ElectingRule } from './rule.ts';

interface SelfTruncation {
  /** w: tau is that many times c. */
  readonly window: number;
}

async function* search(tree: Tree, all: readonly Branch[], { window }: SelfTruncation): Search {
  const votes: number[] = [];
  let [c, tau] = [0, 0];
  while (all.some(alive) && (c === 0 || votes.length < c + tau)) {
    await tree.extend(all, { tokens: 1 });
    votes.push(mostAlike(all.map(({ states }) => chainOfEmbedding(states!))));
    if (c === 0 && areApart(all)) [c, tau] = windowFrom(votes.length, window);
    yield all;
  }
  tree.note('apart', c);
  const winner = all[elected(votes.slice(-tau))]!; // (3)
  yield [winner];
  yield* toTheEnd(tree, winner);
  return [winner];
}

/** No two begin alike, or one has ended. */
export const areApart = (all: readonly Pick<Branch, 'tokens' | 'finish'>[]): boolean =>
  all.some(({ finish }) => finish !== null) ||
  new Set(all.map(({ tokens }) => tokens.join())).size === all.length;

/** c, and tau of it. */
export const windowFrom = (c: number, window: number): [c: number, tau: number] => [
  c,
  Math.max(1, Math.floor(window * c)),
];

/** F (1) of states by layer: of a sum over tokens as of their mean, for it has no scale. */
export function chainOfEmbedding(states: readonly ArrayLike<number>[]): number {
  const [first, last] = [states[0]!, states.at(-1)!];
  const [distance, angle] = [distanceOf(first, last), angleOf(first, last)];
  const steps = states.slice(1).map((to, l) => {
    const from = states[l]!;
    return distanceOf(from, to) / distance - angleOf(from, to) / angle;
  });
  return sum(steps) / steps.length;
}

/** S (2) of each F. */
export const unlikeness = (features: readonly number[]): number[] =>
  features.map(
    (one) => sum(features.map((other) => (one - other) ** 2)) / Math.max(1, features.length - 1),
  );

/** Whom a step votes for: the least S, the first on a tie. */
export function mostAlike(features: readonly number[]): number {
  const scores = unlikeness(features);
  return scores.indexOf(Math.min(...scores));
}

/** Who has most votes, the first on a tie. */
function elected(votes: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const vote of votes) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return Math.min(...[...counts].filter(([, count]) => count === most).map(([vote]) => vote));
}

/** States that do not move at all would divide by nothing. */
const LEAST = 1e-8;

function distanceOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < a.length; i++) square += (a[i]! - b[i]!) ** 2;
  return Math.max(LEAST, Math.sqrt(square));
}

/** In radians. */
function angleOf(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [inner, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    inner += a[i]! * b[i]!;
    ofA += a[i]! ** 2;
    ofB += b[i]! ** 2;
  }
  const cosine = inner / Math.max(LEAST, Math.sqrt(ofA) * Math.sqrt(ofB));
  return Math.max(LEAST, Math.acos(Math.min(1, Math.max(-1, cosine))));
}

const fields = strict({ window: either(number(0, 16), 1) });

export const selfTruncation: ElectingRule<SelfTruncation> = {
  fields,
  parse(raw, { layerStates = false }) {
    if (!layerStates) throw untold();
    return read(fields, raw);
  },
  states: true,
  search,
};

const untold = (): z.ZodError =>
  new z.ZodError([
    {
      code: 'custom',
      path: ['type'],
      input: 'self_truncation',
      message:
        'another rule with this policy, whose graph does not tell the states of its layers: `import --layer-states` makes one that does',
    },
  ]);
