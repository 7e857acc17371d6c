/** {"length": "over", "target": 200} and {"repetition": "trigrams"}: terms of a mix (R3), for weights of either sign. */

import { integer, oneOf } from '../../core/fields.ts';
import { sourceKind } from './source.ts';

const target = integer(1, 1_000_000).nullish();

export const length = sourceKind(
  () => ({ length: oneOf(['linear', 'over', 'ratio']), target }),
  (wire, at) => ({
    source: { kind: 'length', mode: wire.length, target: wire.target ?? 200 },
    name: 'length',
    reads: 'prefix',
    readings: [],
    at: `${at}.length`,
  }),
);

export const repetition = sourceKind(
  () => ({ repetition: oneOf(['trigrams']) }),
  (_wire, at) => ({
    source: { kind: 'repetition' },
    name: 'repetition',
    reads: 'prefix',
    readings: [],
    at: `${at}.repetition`,
  }),
);
