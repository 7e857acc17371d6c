/**
 * Sequential Monte Carlo: Feynman-Kac steering (Singhal et al. 2025) and the GenARM proposal. K particles are drawn
 * from the guided law; at each decision their log weights grow by log G_s, a potential of the reward, and by the log Z_t
 * of their tokens. When the effective sample size falls below ess * K they are resampled; otherwise weights
 * are carried. A particle's last potential is lambda R - sum_s log G_s, so its weights telescope to the target
 *   p(y) prod_i q_i(y)^w_i exp(lambda R(y)),
 * exact as K grows where tokens are drawn at temperature 1, untruncated. lambda = 0 needs no reward.
 */

import { either, integer, number, oneOf, read, strict } from '../core/fields.ts';
import { logSumExp, softmax, sum } from '../core/math.ts';
import type { Strategy } from '../core/strategy.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { schemes, SCHEMES } from './resample.ts';
import { alive, descending, noScore, numberOr, pick } from './select.ts';

const POTENTIALS = ['diff', 'max', 'add', 'rt'] as const;
export type Potential = (typeof POTENTIALS)[number];

export interface Particles {
  readonly K: number;
  readonly potential: Potential;
  readonly lambda: number;
  readonly every: number;
  /** Share of K. */
  readonly ess: number;
  readonly resample: keyof typeof schemes;
  /** sample: a draw from the weighted particles, which is what the target is of. best: the heaviest. */
  readonly select: 'sample' | 'best';
}

const fields = strict({
  n: either(integer(1, 256), 16),
  potential: either(oneOf(POTENTIALS), 'diff'),
  lambda: either(number(-1000, 1000), 4),
  every: either(integer(1, 4096), 16),
  ess: either(number(0, 1), 0.5),
  resample: either(oneOf(SCHEMES), 'systematic'),
  select: either(oneOf(['sample', 'best']), 'sample'),
});

/** Decisions of one search are fewer: uniforms of one decision are so far apart. */
const APART = 2 ** 16;

export const particles: Strategy<Particles> = {
  fields,
  parse(raw) {
    const { n: K, ...rest } = read(fields, raw);
    return { K, ...rest };
  },
  needs: ({ lambda }) => (lambda === 0 ? 'nothing' : 'prefix'),
  absolute: ({ lambda }) => lambda !== 0, // weights add up what the decisions said
  peak: ({ K }) => ({ least: K, most: K }),

  async *search(tree, params) {
    const { K, every, ess, resample, select } = params;
    let swarm: Particle[] = tree
      .fork(tree.root, K)
      .map((branch) => ({ branch, logWeight: 0, logZ: 0, path: START, done: false }));
    for (let step = 0; ; step++) {
      await tree.extend(branchesOf(swarm), { tokens: every });
      swarm = await weighed(tree, swarm, params);
      const weights = weightsOf(swarm);
      tree.note('ess', essOf(weights));
      if (swarm.every(({ done }) => done)) {
        const order = [...weights.keys()].toSorted((a, b) => descending(weights[a]!, weights[b]!));
        const first = select === 'best' ? order[0]! : pick(weights, tree.uniform(step));
        return [first, ...order.filter((i) => i !== first)].map((i) => swarm[i]!.branch);
      }
      if (essOf(weights) < ess * K) {
        const ancestors = schemes[resample](weights, (i) => tree.uniform(step + i * APART));
        const survivors = swarm.filter((_, i) => ancestors.includes(i));
        yield branchesOf(survivors);
        swarm = resampled(tree, swarm, ancestors);
      } else yield branchesOf(swarm);
    }
  },
};

interface Particle {
  readonly branch: Branch;
  readonly logWeight: number;
  /** Sum of log Z_t that is in the weight already. */
  readonly logZ: number;
  readonly path: Path;
  /** Its last potential is in the weight. */
  readonly done: boolean;
}

/** What a particle's rewards came to at the decisions so far. */
export interface Path {
  readonly last: number;
  readonly max: number;
  readonly sum: number;
  /** Sum of log G. */
  readonly logG: number;
}

export const START: Path = { last: 0, max: -Infinity, sum: 0, logG: 0 };

const branchesOf = (swarm: readonly Particle[]): Branch[] => swarm.map(({ branch }) => branch);

/** Scores the particles that moved; one without a score has no weight. */
async function weighed(
  tree: Tree,
  swarm: readonly Particle[],
  { lambda, potential }: Particles,
): Promise<Particle[]> {
  const moved = swarm.filter(({ done }) => !done);
  const scores = lambda === 0 ? null : await tree.score(branchesOf(moved));
  return swarm.map((particle) => {
    if (particle.done) return particle;
    const { branch, path, logZ } = particle;
    const r = scores?.[moved.indexOf(particle)]!.value ?? 0;
    const next = scores === null ? path : advanced(potential, lambda, path, r, !alive(branch));
    const gain = next.logG - path.logG + (branch.logZ - logZ);
    const logWeight = numberOr(particle.logWeight + gain, -Infinity);
    return { branch, logWeight, logZ: branch.logZ, path: next, done: !alive(branch) };
  });
}

/** A path after one more reward; `last` corrects to the raw final reward. */
export function advanced(
  potential: Potential,
  lambda: number,
  path: Path,
  r: number,
  last: boolean,
): Path {
  const max = Math.max(path.max, r);
  const added = path.sum + r;
  const logG = { diff: r - path.last, max, add: added, rt: r }[potential] * lambda;
  return { last: r, max, sum: added, logG: last ? lambda * r : path.logG + logG };
}

function weightsOf(swarm: readonly Particle[]): number[] {
  const logs = swarm.map(({ logWeight }) => logWeight);
  if (logs.every((log) => log === -Infinity)) throw noScore();
  return softmax(logs);
}

/** Effective sample size, 1 / sum w^2, of weights that add up to 1. */
export const essOf = (weights: readonly number[]): number =>
  1 / sum(weights.map((weight) => weight ** 2));

/** Forks each ancestor as often as it was drawn. All weigh the same then: the mean, so that log Z is not lost. */
function resampled(
  tree: Tree,
  swarm: readonly Particle[],
  ancestors: readonly number[],
): Particle[] {
  const logWeight = logSumExp(swarm.map((one) => one.logWeight)) - Math.log(swarm.length);
  return swarm.flatMap((particle, i) => {
    const n = ancestors.filter((ancestor) => ancestor === i).length;
    const twins = n === 0 ? [] : tree.fork(particle.branch, n);
    return twins.map((branch) => ({ ...particle, branch, logWeight }));
  });
}
