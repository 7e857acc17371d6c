/**
 * Many rewards read as one (Coste et al. 2023, Eisenstein et al. 2023): a candidate that one member overrates
 * is held down by the others. Members should be on one scale first, or a minimum only follows the lowest.
 */

import { sum } from '../core/math.ts';
import type { Candidate, Ensemble, Reward, Score } from '../core/reward.ts';
import { nearness } from './ideal.ts';

/** How values become one. */
export type Aggregation = Pick<Ensemble, 'aggregate' | 'lambda' | 'variance' | 'ideal'>;

export interface Member {
  readonly reward: Reward;
  readonly weight: number;
}

/** A member's scores, one per candidate. */
interface Column<M> {
  readonly member: M;
  readonly scores: readonly Score[];
}

/**
 * What each member says. One that fails, or can judge no candidate, is left out: the others go on.
 * @throws what the first member failed with, if none is left
 */
export async function answered<M extends Member>(
  members: readonly M[],
  batch: readonly Candidate[],
): Promise<Column<M>[]> {
  const settled = await Promise.allSettled(members.map(({ reward }) => reward.score(batch)));
  const columns = settled.flatMap((result, i) =>
    result.status === 'fulfilled' ? [{ member: members[i]!, scores: result.value }] : [],
  );
  const failure = settled.find(({ status }) => status === 'rejected');
  if (columns.length === 0 && failure?.status === 'rejected') throw failure.reason;
  const able = columns.filter(({ scores }) => scores.some(({ value }) => !isNaN(value)));
  return able.length > 0 ? able : columns;
}

/** A candidate that one member cannot judge has NaN. `parts` hold what each member said, and their `disagreement` (deviation). */
export function ensemble(members: readonly Member[], how: Aggregation): Reward {
  return {
    name: how.aggregate,
    reads: readsOf(members),
    async score(batch) {
      const columns = await answered(members, batch);
      const weights = columns.map(({ member }) => member.weight);
      const ideal = columns.map(({ member }) => how.ideal?.[member.reward.name] ?? 0);
      return rows(batch, columns).map((row) => {
        const values = row.map(({ value }) => value);
        const disagreement = Math.sqrt(varianceOf(values, weights, 'population'));
        const said = merged(row, aggregate(values, weights, how, ideal));
        return { ...said, parts: { ...said.parts, disagreement } };
      });
    },
  };
}

/** sum_i weight_i * r_i. */
export function weightedSum(members: readonly Member[]): Reward {
  return {
    name: 'sum',
    reads: readsOf(members),
    async score(batch) {
      const columns = await answered(members, batch);
      return rows(batch, columns).map((row) =>
        merged(row, sum(row.map(({ value }, i) => columns[i]!.member.weight * value))),
      );
    },
  };
}

/** One value of the members' values; NaN if one is. */
export function aggregate(
  values: readonly number[],
  weights: readonly number[],
  { aggregate: kind, lambda, variance }: Aggregation,
  ideal: readonly number[] = [],
): number {
  switch (kind) {
    case 'mean':
      return meanOf(values, weights);
    case 'median':
      return medianOf(values);
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    case 'uwo':
      return meanOf(values, weights) - lambda * varianceOf(values, weights, variance);
    case 'lcb':
      return meanOf(values, weights) - lambda * Math.sqrt(varianceOf(values, weights, variance));
    case 'distance':
    case 'squared_distance':
    case 'cosine':
      return nearness(kind, values, ideal, weights);
    default:
      return kind satisfies never;
  }
}

const meanOf = (values: readonly number[], weights: readonly number[]): number =>
  sum(values.map((x, i) => weights[i]! * x)) / sum(weights);

/** Weighted by share; the unbiased one of a single member is 0. */
export function varianceOf(
  values: readonly number[],
  weights: readonly number[],
  kind: Ensemble['variance'],
): number {
  const mean = meanOf(values, weights);
  const population = sum(values.map((x, i) => weights[i]! * (x - mean) ** 2)) / sum(weights);
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

export const readsOf = (members: readonly Member[]): Reward['reads'] =>
  members.every(({ reward }) => reward.reads === 'prefix') ? 'prefix' : 'complete';

/** What all members said of each candidate. */
const rows = (batch: readonly Candidate[], columns: readonly Column<Member>[]): Score[][] =>
  batch.map((_, i) => columns.map(({ scores }) => scores[i]!));

/** @param row what each member said of one candidate */
export function merged(row: readonly Score[], value: number): Score {
  const told = row.flatMap(({ byToken }) => (byToken === undefined ? [] : [byToken]));
  const stepwise = row.flatMap(({ steps }) => (steps === undefined ? [] : [steps]));
  return {
    value,
    parts: joined(row.map(({ parts }) => parts)),
    tokens: sum(row.map(({ tokens }) => tokens ?? 0)),
    ...(stepwise.length > 0 ? { steps: joined(stepwise) } : {}),
    ...(told.length > 0 ? { byToken: joined(told) } : {}),
  };
}

/** Ids are the client's: one such as `__proto__` must be a member like any other, which an assignment would not make it. */
const joined = <T>(records: readonly Readonly<Record<string, T>>[]): Readonly<Record<string, T>> =>
  Object.fromEntries(records.flatMap((record) => Object.entries(record)));
