/**
 * A guide's law as one weight per lane: the policy has 1, a guide adds its weight to its lane, a density ratio
 * also takes it from the lane below the line (which may be the policy's own: no second pass). `mean` divides
 * all by their sum (language-model-arithmetic; METHODS.md 1).
 */

import type { LaneWeights } from '../core/guide.ts';

export const laneWeights: LaneWeights = ({ uses, combine }, lanes, scale, entropy) => {
  const weights = new Float64Array(lanes);
  weights[0] = 1;
  for (const { plus, minus, weight, entropyAbove } of uses) {
    if (entropyAbove !== null && entropy !== null && entropy <= entropyAbove) continue;
    weights[plus]! += scale * weight;
    if (minus !== null) weights[minus]! -= scale * weight;
  }
  if (combine === 'mean') {
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (let lane = 0; lane < lanes; lane++) weights[lane]! /= sum;
  }
  return weights;
};
