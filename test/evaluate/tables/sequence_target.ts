/** The sequence-level target p(y) q(y)^alpha on a toy chain whose answers can be listed: plain GenARM misses it, particles approach it. */

import { logSumExp } from '../../../src/core/math.ts';
import { particles } from '../../../src/strategies/particles.ts';
import { answers, ChainTree, logProbOf, logRow, spelled, type Chain } from '../../fakes/chain.ts';
import { vectorCase, vectors } from '../../fakes/vectors.ts';
import type { Question } from '../asked.ts';

const SIZES = [1, 2, 4, 8, 16, 32, 64, 128];
const RUNS = 20_000;

interface Genarm {
  readonly arm: Chain;
  readonly alpha: number;
  readonly max_len: number;
}

const { model: base } = vectors('beam_search.json') as unknown as { readonly model: Chain };
const { input } = vectorCase<Genarm, unknown>('smc.json', 'genarm_proposal_weights');
const { arm, alpha, max_len: maxTokens } = input;
const all = answers(maxTokens);

export const sequenceTarget: Question = {
  title: 'The sequence-level target',
  head: ['particles', 'total variation to the sequence-level target'],
  size: SIZES.length,
  seconds: 20,
  counts: false,
  note: () =>
    `The chain and the reward model of smc.json, ${all.length} possible answers, ${RUNS} runs a row; one particle is plain GenARM. ` +
    `The target sampled itself ${RUNS} times is ${noise(target()).toFixed(3)} away on average: no row can show less.`,
  async *rows() {
    for (const K of SIZES) {
      const drawn = new Map<string, number>();
      for (let seed = 0; seed < RUNS; seed++) {
        const bend = (last: number | undefined, token: number) => alpha * logRow(arm, last)[token]!;
        const answer = await sampled(new ChainTree({ chain: base, maxTokens, bend, seed }), K);
        drawn.set(answer, (drawn.get(answer) ?? 0) + 1 / RUNS);
      }
      yield [`${K}`, distance(drawn, target()).toFixed(3)];
    }
  },
};

/** p(y) q(y)^alpha, normalised, by answer. */
function target(): Map<string, number> {
  const logs = all.map((tokens) => logProbOf(base, tokens) + alpha * logProbOf(arm, tokens));
  const total = logSumExp(logs);
  return new Map(all.map((tokens, i) => [spelled(tokens), Math.exp(logs[i]! - total)]));
}

async function sampled(tree: ChainTree, K: number): Promise<string> {
  const params = {
    K,
    potential: 'diff',
    lambda: 0,
    every: 1,
    ess: 0.5,
    resample: 'systematic',
    select: 'sample',
  } as const;
  const search = particles.search(tree, params);
  for (;;) {
    const { done, value } = await search.next();
    if (done) return spelled(value[0]!.tokens);
  }
}

const distance = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): number =>
  [...new Set([...a.keys(), ...b.keys()])].reduce(
    (sum, key) => sum + Math.abs((a.get(key) ?? 0) - (b.get(key) ?? 0)) / 2,
    0,
  );

/** Mean distance of a sample of its own size: each count deviates by sqrt(2 p (1 - p) / (pi n)) on average. */
const noise = (law: ReadonlyMap<string, number>): number =>
  [...law.values()].reduce(
    (sum, p) => sum + Math.sqrt((2 * p * (1 - p)) / (Math.PI * RUNS)) / 2,
    0,
  );
