/** What the figures are measured with: requests that are long at work, and quantiles. */

export type Body = Readonly<Record<string, unknown>>;

/** Never ends by itself. */
export const ENDLESS: Body = { logit_bias: { '0': -100 } };

export const post = (base: string, body: Body, signal: AbortSignal | null = null) =>
  fetch(`${base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', prompt: 'One day, Tom', ...ENDLESS, ...body }),
    signal,
  });

/** One figure of a table: what was measured, what it came to, and the goal. */
export type Row = readonly [what: string, measured: string, goal: string];

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export const spread = (values: readonly number[], unit: string): string =>
  `p50 ${quantile(values, 0.5).toFixed(1)}, p99 ${quantile(values, 0.99).toFixed(1)}, most ${Math.max(...values).toFixed(1)} ${unit}`;
