/**
 * The particles of a swarm, and what they weigh: log w grows by the potential of the reward and by log Z_t of the tokens
 * since the last decision. One without a score weighs nothing. Where that would be all of them the step says nothing: the
 * weights grow by log Z_t alone.
 */

import { logSumExp, softmax } from '../core/math.ts';
import type { Branch, Tree } from '../core/tree.ts';
import { advanced, START, type Path, type Potential } from './potentials.ts';
import { alive, numberOr } from './select.ts';

export interface Weighing {
  readonly potential: Potential;
  /** 0: no reward is asked. */
  readonly lambda: number;
}

interface Particle {
  readonly branch: Branch;
  readonly logWeight: number;
  /** Sum of log Z_t that is in the weight already. */
  readonly logZ: number;
  readonly path: Path;
  /** It had a score when it was last asked for one. */
  readonly judged: boolean;
  /** Its last potential is in the weight. */
  readonly done: boolean;
}

export const begun = (branch: Branch): Particle => ({
  branch,
  logWeight: 0,
  logZ: 0,
  path: START,
  judged: false,
  done: false,
});

export const branchesOf = (swarm: readonly Particle[]): Branch[] =>
  swarm.map(({ branch }) => branch);

/** Scores the particles that moved. One without a score has no weight; where that would be all, the step says nothing. */
export async function weighed(
  tree: Tree,
  swarm: readonly Particle[],
  { lambda, potential }: Weighing,
): Promise<Particle[]> {
  const moved = swarm.filter(({ done }) => !done);
  const scores = lambda === 0 ? [] : await tree.score(branchesOf(moved));
  const after = (pathOf: (particle: Particle, r: number) => Path): Particle[] =>
    swarm.map((one) => {
      if (one.done) return one;
      const r = scores[moved.indexOf(one)]?.value ?? 0; // lambda is 0 where none is asked
      return grown(one, pathOf(one, r), !Number.isNaN(r));
    });
  const next = after(({ branch, path }, r) => advanced(potential, lambda, path, r, !alive(branch)));
  const says = next.some(({ judged, logWeight }) => judged && logWeight > -Infinity);
  return says ? next : after(({ path }) => path);
}

function grown({ branch, logWeight, logZ, path }: Particle, next: Path, judged: boolean): Particle {
  const gain = next.logG - path.logG + (branch.logZ - logZ);
  return {
    branch,
    logWeight: numberOr(logWeight + gain, -Infinity),
    logZ: branch.logZ,
    path: next,
    judged,
    done: !alive(branch),
  };
}

/** Some particle always has a weight. */
export const weightsOf = (swarm: readonly Particle[]): number[] =>
  softmax(swarm.map(({ logWeight }) => logWeight));

/** @param ancestors K indices */
export function resampled(
  tree: Tree,
  swarm: readonly Particle[],
  ancestors: readonly number[],
): Particle[] {
  const logWeight = logSumExp(swarm.map((one) => one.logWeight)) - Math.log(swarm.length);
  const branches = tree.reorder(branchesOf(swarm), ancestors);
  return branches.map((branch, k) => ({ ...swarm[ancestors[k]!]!, branch, logWeight }));
}
