/** The page of metrics with all that a mixed load leaves on it, and a stop under load. */

import { Chance } from '../../fuzz/chance.ts';
import type { Served } from '../../support/server.ts';
import { pooled } from '../../support/pooled.ts';
import { WAYS } from '../../soak/mix.ts';
import { post, spread, type Row } from './ask.ts';

const PAGES = 200;

export async function metricsPage(base: string): Promise<Row[]> {
  const ways = Object.values(WAYS);
  const chance = new Chance(1);
  await pooled([...Array(200).keys()], 12, (i) =>
    ways[i % ways.length]!(base, chance).catch(() => 'refused'),
  );
  const ms: number[] = [];
  let page = '';
  for (let i = 0; i < PAGES; i++) {
    const began = performance.now();
    page = await (await fetch(`${base}/metrics`)).text();
    ms.push(performance.now() - began);
  }
  const series = page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  return [[`/metrics over HTTP, ${series} series`, spread(ms, 'ms'), '20 ms']];
}

const LOAD = 32;

/** Stops the server. */
export async function drained(server: Served): Promise<Row[]> {
  const { base } = server;
  const ask = { max_tokens: 150, n: 2 };
  const work = Array.from({ length: LOAD }, async (_, seed) => {
    const response = await post(base, { ...ask, seed, stream: seed % 2 === 0 });
    return response.ok && (await response.text()).includes('"finish_reason":"length"');
  });
  const taken = async (): Promise<unknown> =>
    ((await (await fetch(`${base}/load`)).json()) as Record<string, unknown>)['server_load'];
  while ((await taken()) !== LOAD);
  const told = performance.now();
  const exit = server.stop('SIGTERM');
  while ((await fetch(`${base}/ready`)).status !== 503);
  const unready = performance.now() - told;
  const whole = (await Promise.all(work)).filter(Boolean).length;
  const code = await exit;
  const seconds = (performance.now() - told) / 1000;
  return [
    ['SIGTERM: until /ready says 503', `${unready.toFixed(1)} ms`, '1 s'],
    [
      `SIGTERM: of ${LOAD} requests that were taken, lost`,
      `${LOAD - whole} (exit code ${code} after ${seconds.toFixed(1)} s)`,
      '0',
    ],
  ];
}
