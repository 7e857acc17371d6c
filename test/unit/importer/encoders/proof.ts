/**
 * What every encoder is held to: the graph gives the score of the published definition, alone and padded beside
 * longer texts, and there to the same bits.
 */

import * as ort from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { describeEncoder } from '../../../../src/importer/encoder/families.ts';
import { buildEncoder } from '../../../../src/importer/encoder/graph.ts';
import { openWeights, readJsonIn } from '../../../../src/importer/checkpoint.ts';
import type { Weights } from '../../../../src/importer/weights.ts';
import { testOrt } from '../../../fakes/ort.ts';
import { farthest, tokens } from '../checkpoint.ts';
import type { Published, Vector } from '../families/published.ts';

testOrt(); // before onnxruntime-node makes its own environment in this process, which would not do for ours

/** float32 against float64, scores of about one. */
const CLOSE = 1e-4;

/** Token ids, and to which of two texts each belongs. */
export interface Text {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

export const textOf = (length: number, seed: number): Text => ({
  ids: tokens(length, seed),
  types: Array.from({ length }, (_, i) => Number(i > length / 2)),
});

export type Scorer = (texts: readonly Text[], least?: number) => Promise<Float32Array>;

export async function scorer(
  { folder }: Published,
  weights: Weights,
  label: string | null = null,
): Promise<Scorer> {
  using stored = openWeights(folder);
  const spec = describeEncoder(readJsonIn(folder, 'config.json'), { context: null, label });
  const session = await ort.InferenceSession.create(buildEncoder(spec, stored, weights).bytes());
  return async (texts, least = 2) => {
    const width = texts.reduce((most, { ids }) => Math.max(most, ids.length), least);
    const input = (valueOf: (text: Text, i: number) => number) =>
      new ort.Tensor(
        'int64',
        BigInt64Array.from(
          texts.flatMap((text) =>
            Array.from({ length: width }, (_, i) => BigInt(valueOf(text, i))),
          ),
        ),
        [texts.length, width],
      );
    const out = await session.run({
      input_ids: input(({ ids }, i) => ids[i] ?? 0),
      attention_mask: input(({ ids }, i) => Number(i < ids.length)),
      token_type_ids: input(({ types }, i) => types[i] ?? 0),
    });
    return out['score']!.data as Float32Array;
  };
}

const RAGGED = [textOf(11, 1), textOf(2, 2), textOf(37, 3), textOf(30, 4), textOf(17, 5)];

/** @param forward logits in float64 from the definition; the head has one label */
export function provesEncoder(
  name: string,
  published: Published,
  forward: (text: Text) => Vector,
): void {
  test(`${name}: scores are those of the definition, alone and in a ragged batch`, async () => {
    const score = await scorer(published, 'float32');
    const expected = RAGGED.map((text) => forward(text)[0]!);
    expect(farthest(await score(RAGGED), expected)).toBeLessThan(CLOSE);
    expect(farthest(await score([RAGGED[2]!]), expected.slice(2))).toBeLessThan(CLOSE);
    expect(new Set(expected.map((value) => value.toFixed(3))).size).toBe(RAGGED.length);
  });

  test.each(['float32', 'int8', 'int4'] as const)(
    `${name}, %s: a text has the same bits alone, padded, and beside longer ones`,
    async (weights) => {
      const score = await scorer(published, weights);
      const together = await score(RAGGED);
      for (const [i, text] of RAGGED.entries()) {
        expect([...(await score([text]))]).toEqual([together[i]]);
        expect([...(await score([text, text], 41))]).toEqual([together[i], together[i]]);
      }
    },
  );

  test(`${name}: 8-bit scores stay close to float32`, async () => {
    const [exact, close] = [await scorer(published, 'float32'), await scorer(published, 'int8')];
    expect(farthest(await exact(RAGGED), await close(RAGGED))).toBeLessThan(0.1);
  });
}
