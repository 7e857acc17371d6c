/**
 * Sequential Monte Carlo: Feynman-Kac steering (Singhal et al. 2025) and the GenARM proposal. K particles are drawn
 * from the guided law. At each decision s, every so many tokens, a particle's weight grows to
 *   log w <- log w + log G_s + sum_t log Z_t,                                                         (1)
 * G_s a potential of the reward (potentials.ts), Z_t the normalisers of the tokens since the last decision. Where
 *   ESS = 1 / sum_k w_k^2 < ess * K                                                                   (2)
 * K ancestors are drawn by their weights, and each particle weighs the mean from there on, so that log Z is not lost;
 *   log w <- log sum_k w_k - log K;                                                                   (3)
 * otherwise weights are carried. So they telescope to the target
 *   p(y) prod_i q_i(y)^w_i exp(lambda R(y)),                                                          (4)
 * exact as K grows where tokens are drawn at temperature 1, untruncated. lambda = 0 needs no reward.
 */

import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import { exactly, type Search, type Strategy } from '../core/strategy.ts';
import type { Tree } from '../core/tree.ts';
import { POTENTIALS } from './potentials.ts';
import { essOf, schemes, SCHEMES } from './resample.ts';
import { descending, pick } from './select.ts';
import { begun, branchesOf, resampled, weighed, weightsOf, type Weighing } from './swarm.ts';

export interface Particles extends Weighing {
  readonly K: number;
  readonly every: number;
  /** Share of K. */
  readonly ess: number;
  readonly resample: keyof typeof schemes;
  /** sample: a draw from the weighted particles, which is what the target is of. best: the heaviest. */
  readonly select: 'sample' | 'best';
}

async function* search(tree: Tree, particles: Particles): Search {
  const { K, every, ess, resample, select } = particles;
  let swarm = tree.fork(tree.root, K).map(begun);
  for (let s = 0; ; s++) {
    await tree.extend(branchesOf(swarm), { tokens: every });
    swarm = await weighed(tree, swarm, particles); // (1)
    const weights = weightsOf(swarm);
    const size = essOf(weights);
    tree.note('ess', size);
    if (swarm.every(({ done }) => done)) {
      const order = [...weights.keys()].toSorted((a, b) => descending(weights[a]!, weights[b]!));
      const first = select === 'best' ? order[0]! : pick(weights, tree.uniform(s)); // (4)
      return [first, ...order.filter((i) => i !== first)].map((i) => swarm[i]!.branch);
    }
    if (size < ess * K) {
      const ancestors = schemes[resample](weights, (i) => tree.uniform(s + i * APART)); // (2)
      yield branchesOf(swarm).filter((_, i) => ancestors.includes(i)); // who survives, before there are twins
      swarm = resampled(tree, swarm, ancestors); // (3)
    } else yield branchesOf(swarm);
  }
}

/** Decisions of one search are fewer: uniforms of one decision are so far apart. */
const APART = 2 ** 16;

const fields = strict({
  n: either(integer(1, 256), 16),
  potential: either(oneOf(POTENTIALS), 'diff'),
  lambda: either(number(-1000, 1000), 4),
  every: either(integer(1, 4096), 16),
  ess: either(number(0, 1), 0.5),
  resample: either(oneOf(SCHEMES), 'systematic'),
  select: either(oneOf(['sample', 'best']), 'sample'),
});

export const particles: Strategy<Particles> = {
  fields,
  parse(raw) {
    const { n: K, ...rest } = read(fields, raw);
    return { K, ...rest };
  },
  needs: ({ lambda }) => (lambda === 0 ? 'nothing' : 'prefix'),
  absolute: ({ lambda }) => lambda !== 0, // weights add up what the decisions said
  peak: ({ K }) => exactly(K),
  search,
};
