/**
 * ARGS (Khanov et al. 2024): at each token, among the k likeliest, take the one of largest
 *   log p + w * R(answer and token),                                                                   (1)
 * or draw it from softmax(that / tau).                                                                 (2)
 * The paper adds w * R to raw logits: the same, a constant per step apart. Where none of the k can be judged, the policy
 * decides alone.
 */

import { either, integer, number, read, strict } from '../core/fields.ts';
import { softmax } from '../core/math.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Tree } from '../core/tree.ts';
import { alive, largest, numberOr, pick, rewardsOf } from './select.ts';

export interface Args {
  readonly k: number;
  readonly w: number;
  /** 0: the largest. */
  readonly tau: number;
}

async function* search(tree: Tree, { k, w, tau }: Args): Search {
  let answer = tree.root;
  while (alive(answer)) {
    const next = await tree.peek(answer, k);
    const pool = tree.fork(answer, next.length);
    pool.forEach((branch, i) => tree.push(branch, next[i]!));
    const R = rewardsOf(await tree.score(pool));
    const values = next.map(({ logprob, bias }, i) => logprob + bias + w * R[i]!); // (1)
    answer = pool[chosen(values, tau, () => tree.uniform(answer.tokens.length))]!;
    yield [answer];
  }
  return [answer];
}

/** Which of these to take: the largest, or at tau > 0 a draw from softmax(values / tau). NaN is never taken. */
export function chosen(values: readonly number[], tau: number, u: () => number): number {
  const first = largest(values, 1)[0]!;
  return tau === 0 ? first : pick(law(values, tau), u()); // (2)
}

export const law = (values: readonly number[], tau: number): number[] =>
  softmax(values.map((value) => numberOr(value / tau, -Infinity)));

const fields = strict({
  top_k: either(integer(1, 64), 10),
  weight: either(number(-1000, 1000), 1),
  temperature: either(number(0, 100), 0),
});

export const args: Strategy<Args> = {
  fields,
  parse(raw) {
    const { top_k: k, weight: w, temperature: tau } = read(fields, raw);
    return { k, w, tau };
  },
  needs: () => 'prefix',
  peak: ({ k }) => exactly(k),
  search,
};
