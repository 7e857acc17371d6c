/** The queries that config/ ships: of the Grafana dashboard, and of the alerts. */

import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const read = (path: string): string =>
  readFileSync(new URL(`../../config/${path}`, import.meta.url), 'utf8');

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly { alert: string; expr: string }[] }[];
}

export const panels = (): readonly Panel[] =>
  (JSON.parse(read('grafana/dashboard.json')) as { panels: readonly Panel[] }).panels;

/** By the panel or alert that asks them; Grafana's interval is filled in. */
export function queries(): readonly (readonly [title: string, expr: string])[] {
  const { groups } = parse(read('prometheus/alerts.yml')) as Rules;
  return [
    ...panels().flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => [title, expr.replaceAll('$__rate_interval', '1m')] as const),
    ),
    ...groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)),
  ];
}

export const scrapeConfig = (): Record<string, unknown> =>
  parse(read('prometheus/prometheus.yml')) as Record<string, unknown>;
