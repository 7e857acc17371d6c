/** Ways to draw K ancestors by their weights, which add up to 1. All draw each K w times on average; they differ in how far from it they stray. */

import { sum } from '../core/math.ts';
import { pick } from './select.ts';

/** Effective sample size, 1 / sum w^2, of weights that add up to 1. */
export const essOf = (weights: readonly number[]): number =>
  1 / sum(weights.map((weight) => weight ** 2));

/** @param u the i-th uniform in [0, 1) of this decision. Returns indices, ascending */
type Scheme = (weights: readonly number[], u: (i: number) => number) => number[];

const drawn = (weights: readonly number[], at: (i: number) => number): number[] =>
  weights.map((_, i) => pick(weights, at(i)));

/** One uniform, K evenly spaced pointers: the least variance. */
const systematic: Scheme = (weights, u) => drawn(weights, (i) => (i + u(0)) / weights.length);

/** A uniform in each of K equal strata. */
const stratified: Scheme = (weights, u) => drawn(weights, (i) => (i + u(i)) / weights.length);

const multinomial: Scheme = (weights, u) => drawn(weights, u).toSorted((a, b) => a - b);

/** The whole part of K w times for certain, and independent draws for what is left. */
const residual: Scheme = (weights, u) => {
  const K = weights.length;
  const certain = weights.flatMap((w, i) => Array.from({ length: Math.floor(K * w) }, () => i));
  const left = K - certain.length;
  const rest = weights.map((w) => (K * w - Math.floor(K * w)) / left);
  const others = Array.from({ length: left }, (_, i) => pick(rest, u(i)));
  return [...certain, ...others].toSorted((a, b) => a - b);
};

export const schemes = { systematic, stratified, multinomial, residual } as const;
export const SCHEMES = Object.keys(schemes) as (keyof typeof schemes)[];
