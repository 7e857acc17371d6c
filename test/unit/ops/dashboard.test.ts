import { expect, test } from 'vitest';
import { Metrics } from '../../../src/ops/metrics.ts';
import { FakeInference } from '../../fakes/inference.ts';
import { panels, queries } from '../../support/dashboard.ts';

const page = async (): Promise<string> => new Metrics().page(await new FakeInference().snapshot());

/** Series by family, with the labels that each may have: read from the page itself. */
async function families(): Promise<ReadonlyMap<string, 'histogram' | 'other'>> {
  const types = (await page()).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  return new Map(
    [...types].map(([, name, type]) => [name!, type === 'histogram' ? type : 'other']),
  );
}

test.each(queries())('%s asks for series that exist: %s', async (_, expr) => {
  const known = await families();
  const names = expr.match(/\b(coxswain|process|nodejs)_\w+/g) ?? [];
  expect(names.length + Number(expr.startsWith('up{'))).toBeGreaterThan(0);
  for (const name of names) {
    const family = name.replace(/_(bucket|sum|count)$/, '');
    const type = known.get(name) ?? known.get(family);
    expect(type, `${name} is not on the metrics page`).toBeDefined();
    if (type === 'histogram') expect(name).not.toBe(family);
  }
});

test('the dashboard has a row for each side of the service', () => {
  const rows = panels().filter(({ type }) => type === 'row');
  expect(rows.map(({ title }) => title)).toEqual([
    'Headline',
    'Traffic',
    'Latency',
    'Queue, batch and KV',
    'Alignment',
    'WebSocket and process',
  ]);
});

test('the gauges of the Gateway API Inference Extension exist', async () => {
  const text = await page();
  for (const name of ['requests_waiting', 'requests_running', 'kv_cache_usage_ratio'])
    expect(text).toContain(`# TYPE coxswain_${name} gauge`);
});
