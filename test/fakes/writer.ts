/** A judge that writes, over a fake model of the byte codec's tokens. */

import { DecodeEngine } from '../../src/engine/engine.ts';
import { laneWeights } from '../../src/guides/lane_weights.ts';
import { writer, type Writer } from '../../src/rewards/writer.ts';
import { byteCodec } from './codec.ts';
import { fakeModel, type FakeModel } from './model.ts';
import { fakeTails } from './tail.ts';

export const LENGTH = 128;

export function fakeWriter(
  rows = 2,
  turn?: () => Promise<number>,
): { writer: Writer; engine: DecodeEngine; model: FakeModel } {
  const { vocabulary } = byteCodec;
  const model = fakeModel('lm', { width: vocabulary.size, endBias: 2 });
  const engine = new DecodeEngine({
    models: new Map([['lm', model]]),
    tails: fakeTails({ vocab: vocabulary.size, banned: vocabulary.banned }),
    vocabulary,
    laneWeights,
    vectors: new Map(),
    ruleOf: () => {
      throw new Error('no rule');
    },
    classes: [{ length: LENGTH, rows }],
    iterationTokens: 64,
    prefixBytes: 0,
    queue: Infinity,
    now: () => 0,
    ...(turn ? { turn } : {}),
  });
  return {
    writer: writer({ engine, model: 'lm', vocabulary, rows, length: LENGTH }),
    engine,
    model,
  };
}
