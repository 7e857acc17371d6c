/**
 * Many rewards read as one (Coste et al. 2023, Eisenstein et al. 2023): a candidate that one member overrates
 * is held down by the others. Members should be on one scale first, or a minimum only follows the lowest.
 */

import type { Candidate, Ensemble, Reward, Score } from '../core/reward.ts';

export interface Member {
  readonly reward: Reward;
  readonly weight: number;
}

/** A member's scores, one per candidate. */
interface Column {
  readonly weight: number;
  readonly scores: readonly Score[];
}

/**
 * A member that fails, or can judge no candidate, is left out and counted in `members_failed`; a candidate that
 * another member cannot judge has NaN. `parts` hold what each member said, and their `disagreement` (deviation).
 * @throws what the first member failed with, if none is left
 */
export function ensemble(members: readonly Member[], how: Ensemble): Reward {
  return {
    name: how.aggregate,
    reads: readsOf(members),
    async score(batch) {
      const settled = await Promise.allSettled(members.map(({ reward }) => reward.score(batch)));
      const answered = settled.flatMap((result, i): Column[] =>
        result.status === 'fulfilled' ? [{ weight: members[i]!.weight, scores: result.value }] : [],
      );
      const failure = settled.find(({ status }) => status === 'rejected');
      if (answered.length === 0 && failure?.status === 'rejected') throw failure.reason;
      const able = answered.filter(({ scores }) => scores.some(({ value }) => !isNaN(value)));
      const columns = able.length > 0 ? able : answered;
      const weights = columns.map(({ weight }) => weight);
      const failed = members.length - columns.length;
      return rows(batch, columns).map((row) => {
        const values = row.map(({ value }) => value);
        const disagreement = Math.sqrt(varianceOf(values, weights, 'population'));
        const said = merged(row, aggregate(values, weights, how));
        const parts = { ...said.parts, disagreement };
        return { ...said, parts: failed > 0 ? { ...parts, members_failed: failed } : parts };
      });
    },
  };
}

/** sum_i weight_i * r_i. No member can be left out: each is a goal of its own. */
export function weightedSum(members: readonly Member[]): Reward {
  return {
    name: 'sum',
    reads: readsOf(members),
    async score(batch) {
      const all = await Promise.all(members.map(({ reward }) => reward.score(batch)));
      const columns = all.map((scores, i) => ({ weight: members[i]!.weight, scores }));
      return rows(batch, columns).map((row) =>
        merged(
          row,
          row.reduce((sum, { value }, i) => sum + members[i]!.weight * value, 0),
        ),
      );
    },
  };
}

/** One value of the members' values; NaN if one is. */
export function aggregate(
  values: readonly number[],
  weights: readonly number[],
  { aggregate: kind, lambda, variance }: Ensemble,
): number {
  switch (kind) {
    case 'mean':
      return meanOf(values, weights);
    case 'median':
      return medianOf(values);
    case 'min':
      return Math.min(...values);
    case 'uwo':
      return meanOf(values, weights) - lambda * varianceOf(values, weights, variance);
    case 'lcb':
      return meanOf(values, weights) - lambda * Math.sqrt(varianceOf(values, weights, variance));
    default:
      return kind satisfies never;
  }
}

const totalOf = (weights: readonly number[]): number => weights.reduce((sum, w) => sum + w, 0);

const meanOf = (values: readonly number[], weights: readonly number[]): number =>
  values.reduce((sum, x, i) => sum + weights[i]! * x, 0) / totalOf(weights);

/** Weighted by share; the unbiased one of a single member is 0. */
export function varianceOf(
  values: readonly number[],
  weights: readonly number[],
  kind: Ensemble['variance'],
): number {
  const mean = meanOf(values, weights);
  const sum = values.reduce((all, x, i) => all + weights[i]! * (x - mean) ** 2, 0);
  const population = sum / totalOf(weights);
  if (kind === 'population') return population;
  return values.length > 1 ? (population * values.length) / (values.length - 1) : 0;
}

/** The middle one, or the mean of the two in the middle. */
function medianOf(values: readonly number[]): number {
  if (values.some((x) => isNaN(x))) return NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}

const readsOf = (members: readonly Member[]): Reward['reads'] =>
  members.every(({ reward }) => reward.reads === 'prefix') ? 'prefix' : 'complete';

/** What all members said of each candidate. */
const rows = (batch: readonly Candidate[], columns: readonly Column[]): Score[][] =>
  batch.map((_, i) => columns.map(({ scores }) => scores[i]!));

/** @param row what each member said of one candidate */
export const merged = (row: readonly Score[], value: number): Score => ({
  value,
  parts: Object.assign({}, ...row.map(({ parts }) => parts)) as Score['parts'],
  tokens: row.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0),
});
