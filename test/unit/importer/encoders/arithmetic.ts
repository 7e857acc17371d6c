/** What encoders' definitions share, in float64 on plain arrays; nothing here knows of graphs, or of our importer. */

import { add, dot, gelu, headsOf, layerNorm, times } from '../families/arithmetic.ts';
import type { Shapes, Tensors, Vector } from '../families/published.ts';

export const SIZES = { vocab: 320, hidden: 64, layers: 3, heads: 4, dim: 16, ffn: 96 } as const;

export const affine = (t: Tensors, name: string, x: Vector): Vector =>
  add(times(t.matrix(`${name}.weight`), x), t.vector(`${name}.bias`));

export const normed = (t: Tensors, name: string, x: Vector, epsilon: number): Vector =>
  layerNorm(x, t.vector(`${name}.weight`), t.vector(`${name}.bias`), epsilon);

export const linearShapes = (name: string, n: number, k: number): Shapes => ({
  [`${name}.weight`]: [n, k],
  [`${name}.bias`]: [n],
});
export const normShapes = (name: string, width: number = SIZES.hidden): Shapes => ({
  [`${name}.weight`]: [width],
  [`${name}.bias`]: [width],
});

/**
 * Softmax attention of every token to every token it sees, over [tokens][heads][dim]: [tokens][all heads joined].
 * @param score of query i and key j in head h, -Infinity where it is not seen
 */
export const attendAll = (
  v: readonly Vector[][],
  heads: number,
  score: (h: number, i: number, j: number) => number,
): Vector[] =>
  v.map((_, i) =>
    Array.from({ length: heads }, (_h, h) => {
      const scores = v.map((_v, j) => score(h, i, j));
      const most = Math.max(...scores);
      const weights = scores.map((value) => Math.exp(value - most));
      const total = weights.reduce((a, b) => a + b, 0);
      return v[0]![h]!.map((_d, d) =>
        weights.reduce((sum, w, j) => sum + (w / total) * v[j]![h]![d]!, 0),
      );
    }).flat(),
  );

/** A post-norm layer of BERT; `attend` is given its queries, keys and values by head. */
export function bertLayer(
  t: Tensors,
  name: string,
  xs: readonly Vector[],
  epsilon: number,
  [query, key, value]: readonly [string, string, string],
  attend: (q: Vector[][], k: Vector[][], v: Vector[][]) => Vector[],
): Vector[] {
  const heads = (part: string): Vector[][] =>
    xs.map((x) => headsOf(affine(t, `${name}.attention.self.${part}`, x), SIZES.heads));
  const attended = attend(heads(query), heads(key), heads(value));
  return xs.map((x, i) => {
    const a = affine(t, `${name}.attention.output.dense`, attended[i]!);
    const y = normed(t, `${name}.attention.output.LayerNorm`, add(x, a), epsilon);
    const inner = affine(t, `${name}.intermediate.dense`, y).map(gelu);
    const f = affine(t, `${name}.output.dense`, inner);
    return normed(t, `${name}.output.LayerNorm`, add(y, f), epsilon);
  });
}

export const scaledDot =
  (q: Vector[][], k: Vector[][]) =>
  (h: number, i: number, j: number): number =>
    dot(q[i]![h]!, k[j]![h]!) / Math.sqrt(SIZES.dim);

export const bertLayerShapes = (
  name: string,
  [query, key, value]: readonly [string, string, string],
): Shapes => ({
  ...linearShapes(`${name}.attention.self.${query}`, SIZES.hidden, SIZES.hidden),
  ...linearShapes(`${name}.attention.self.${key}`, SIZES.hidden, SIZES.hidden),
  ...linearShapes(`${name}.attention.self.${value}`, SIZES.hidden, SIZES.hidden),
  ...linearShapes(`${name}.attention.output.dense`, SIZES.hidden, SIZES.hidden),
  ...normShapes(`${name}.attention.output.LayerNorm`),
  ...linearShapes(`${name}.intermediate.dense`, SIZES.ffn, SIZES.hidden),
  ...linearShapes(`${name}.output.dense`, SIZES.hidden, SIZES.ffn),
  ...normShapes(`${name}.output.LayerNorm`),
});

export const perLayer = (layer: (i: number) => Shapes): Shapes =>
  Object.assign({}, ...Array.from({ length: SIZES.layers }, (_, i) => layer(i))) as Shapes;
