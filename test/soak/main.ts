/**
 * npm run soak -- --minutes 30 [--crowd 12] [--out soak.json]: a mixed load on a server of its own (Linux). Samples the
 * memory and the descriptors of both processes, and prints what explains them and how each part moves after the first
 * third. Its config bounds the caches so that they are full by then. Asserts nothing.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Chance } from '../fuzz/chance.ts';
import { serve } from '../support/server.ts';
import { eventually, figure, isIdle } from '../support/watch.ts';
import { WAYS } from './mix.ts';
import { printSamples, printTrends, trendsOf } from './report.ts';
import { sampleOf, type Sample } from './sample.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    crowd: { type: 'string', default: '12' },
    out: { type: 'string', default: 'soak.json' },
  },
});
const [minutes, crowd] = [Number(values.minutes), Number(values.crowd)];
const SAMPLES = 180;

/** A request that ended as none should. The same client sends the same again in another run. */
interface Failed {
  readonly minute: number;
  readonly way: string;
  readonly client: number;
  /** Of the client, from 1. */
  readonly request: number;
  readonly outcome: string;
}

await using server = await serve(['--config', 'test/soak/config.yaml']);
const { base } = server;
const began = performance.now();
const minute = (): number => (performance.now() - began) / 60_000;
const counts: Record<string, Record<string, number>> = {};
const failed: Failed[] = [];

/** `fetch` itself says only that it failed. */
const whyOf = (error: unknown): string =>
  error instanceof Error && error.cause instanceof Error
    ? `${error.message}, ${error.cause.message}`
    : String(error);

/** Refusals are part of the load; these are not. */
const isFailure = (outcome: string): boolean => /^(lost|5|internal_error|closed)/.test(outcome);

/** One request after another, until the time is over. */
async function client(seed: number): Promise<void> {
  const chance = new Chance(seed);
  for (let request = 1; minute() < minutes; request++) {
    const way = chance.pick(Object.keys(WAYS));
    const outcome = await WAYS[way]!(base, chance).catch(
      (error: unknown) => `lost: ${whyOf(error)}`,
    );
    if (isFailure(outcome)) failed.push({ minute: minute(), way, client: seed, request, outcome });
    const of = (counts[way] ??= {});
    of[outcome] = (of[outcome] ?? 0) + 1;
  }
}

const samples: Sample[] = [];
const sample = async (): Promise<Sample | null> => sampleOf(server, minute()).catch(() => null);
const take = async (): Promise<void> => {
  const each = await sample();
  if (each !== null) samples.push(each);
};
const timer = setInterval(() => void take(), (minutes * 60_000) / SAMPLES);
await Promise.all(Array.from({ length: crowd }, (_, seed) => client(seed + 1)));
clearInterval(timer);
const isIdleAgain = await eventually(() => isIdle(base));
await eventually(async () => (await figure(base, 'ws_connections')) === 0);
const last = await sample();

const lives = new Set([...samples, ...(last === null ? [] : [last])].map(({ pid }) => pid)).size;
const trends = trendsOf(samples, minutes);
printSamples(samples, last);
printTrends(trends);
console.log(`\nidle afterwards: ${isIdleAgain}; inference died ${lives - 1} times`);
for (const [way, outcomes] of Object.entries(counts))
  console.log(`${way}: ${JSON.stringify(outcomes)}`);
for (const each of failed) console.log(`failed: ${JSON.stringify(each)}`);
if (lives > 1 || failed.length > 0) console.log(`the server said: ${server.output()}`);
const { minutes: _, ...options } = values;
writeFileSync(
  values.out,
  JSON.stringify(
    { minutes, ...options, trends, isIdleAgain, lives, counts, failed, samples, last },
    null,
    1,
  ),
);
