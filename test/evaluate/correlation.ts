/** Correlations of two figures of things that come in groups, differences between groups left out. */

export type Pair = readonly [group: number, x: number, y: number];

/**
 * Pearson's, of deviations from the group's means.
 * @returns samples: pairs less one for each group, its mean
 */
export function correlationWithin(pairs: readonly Pair[]): {
  readonly correlation: number;
  readonly samples: number;
} {
  const groups = groupsOf(pairs);
  let [xx, yy, xy] = [0, 0, 0];
  for (const group of groups) {
    const [meanX, meanY] = [1, 2].map(
      (at) => group.reduce((sum, p) => sum + p[at]!, 0) / group.length,
    );
    for (const [, x, y] of group) {
      const [dx, dy] = [x - meanX!, y - meanY!];
      [xx, yy, xy] = [xx + dx * dx, yy + dy * dy, xy + dx * dy];
    }
  }
  return { correlation: xy / Math.sqrt(xx * yy), samples: pairs.length - groups.length };
}

/** Both figures as ranks within their group, from 0 to 1, equal ones at their mean: what Spearman's is taken of. */
export function ranksOf(pairs: readonly Pair[]): Pair[] {
  return groupsOf(pairs).flatMap((group) => {
    const [xs, ys] = [1, 2].map((at) => ranks(group.map((pair) => pair[at]!)));
    return group.map(([name], i): Pair => [name, xs![i]!, ys![i]!]);
  });
}

const ranks = (values: readonly number[]): number[] =>
  values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return (below + (equal - 1) / 2) / Math.max(1, values.length - 1);
  });

function groupsOf(pairs: readonly Pair[]): Pair[][] {
  const groups = new Map<number, Pair[]>();
  for (const pair of pairs) groups.set(pair[0], [...(groups.get(pair[0]) ?? []), pair]);
  return [...groups.values()];
}
