/**
 * npm run soak -- --minutes 30 [--crowd 12] [--out soak.json]: a mixed load on a server of its own (Linux). Samples the
 * memory and the descriptors of both processes and what is held, and prints how they move after the first third. Asserts nothing.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Chance } from '../fuzz/chance.ts';
import { serve } from '../support/server.ts';
import {
  descriptors,
  eventually,
  figure,
  inferenceOf,
  isIdle,
  residentMb,
} from '../support/watch.ts';
import { WAYS } from './mix.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    crowd: { type: 'string', default: '12' },
    out: { type: 'string', default: 'soak.json' },
  },
});
const [minutes, crowd] = [Number(values.minutes), Number(values.crowd)];
const SAMPLES = 60;
const WARM = 1 / 3;

interface Sample {
  readonly minute: number;
  readonly httpMb: number;
  readonly inferenceMb: number;
  /** What part of it is what, so that growth can be told from caches that fill. */
  readonly httpHeapMb: number;
  readonly inferenceHeapMb: number;
  readonly inferenceArraysMb: number;
  readonly prefixMb: number;
  readonly httpDescriptors: number;
  readonly inferenceDescriptors: number;
  readonly running: number;
  readonly waiting: number;
  readonly sockets: number;
}

await using server = await serve(['--config', 'test/fuzz/config.yaml']);
const { base, pid } = server;
const inference = inferenceOf(pid)!;
const began = performance.now();
const HELD = [
  'nodejs_heap_size_used_bytes',
  'inference_heap_bytes',
  'inference_array_bytes',
  'prefix_cache_bytes',
];
const minute = (): number => (performance.now() - began) / 60_000;

async function sample(): Promise<Sample> {
  const [running, waiting, sockets] = await Promise.all(
    ['requests_running', 'requests_waiting', 'ws_connections'].map((name) => figure(base, name)),
  );
  const [httpHeapMb, inferenceHeapMb, inferenceArraysMb, prefixMb] = await Promise.all(
    HELD.map(async (name) => (await figure(base, name)) / 2 ** 20),
  );
  return {
    minute: minute(),
    httpMb: residentMb(pid),
    inferenceMb: residentMb(inference),
    httpHeapMb: httpHeapMb!,
    inferenceHeapMb: inferenceHeapMb!,
    inferenceArraysMb: inferenceArraysMb!,
    prefixMb: prefixMb!,
    httpDescriptors: descriptors(pid),
    inferenceDescriptors: descriptors(inference),
    running: running!,
    waiting: waiting!,
    sockets: sockets!,
  };
}

const counts: Record<string, Record<string, number>> = {};

/** `fetch` itself says only that it failed. */
const whyOf = (error: unknown): string =>
  error instanceof Error && error.cause instanceof Error
    ? `${error.message}, ${error.cause.message}`
    : String(error);

/** One client after another, until the time is over. */
async function client(seed: number): Promise<void> {
  const chance = new Chance(seed);
  while (minute() < minutes) {
    const way = chance.pick(Object.keys(WAYS));
    const outcome = await WAYS[way]!(base, chance).catch(
      (error: unknown) => `lost: ${whyOf(error)}`,
    );
    const of = (counts[way] ??= {});
    of[outcome] = (of[outcome] ?? 0) + 1;
  }
}

/** Per hour, by least squares, of what comes after the warm-up. */
function slope(samples: readonly Sample[], read: (sample: Sample) => number): number {
  const late = samples.filter((each) => each.minute >= WARM * minutes);
  const mean = (of: (sample: Sample) => number) =>
    late.reduce((sum, each) => sum + of(each), 0) / late.length;
  const [x, y] = [mean((each) => each.minute), mean(read)];
  const [top, bottom] = [
    mean((each) => (each.minute - x) * (read(each) - y)),
    mean((each) => (each.minute - x) ** 2),
  ];
  return (60 * top) / bottom;
}

const samples: Sample[] = [];
const timer = setInterval(
  () => void sample().then((each) => samples.push(each)),
  (minutes * 60_000) / SAMPLES,
);
await Promise.all(Array.from({ length: crowd }, (_, seed) => client(seed + 1)));
clearInterval(timer);
const isIdleAgain = await eventually(() => isIdle(base));
await eventually(async () => (await figure(base, 'ws_connections')) === 0);
const last = await sample();

const row = (cells: readonly (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);
const HEAD = [
  'minute',
  'HTTP MB (heap)',
  'inference MB (heap, arrays, prompts)',
  'descriptors',
  'running',
  'waiting',
  'sockets',
];
row(HEAD);
row(HEAD.map(() => '---'));
const shown = samples.filter((_, i) => i % Math.ceil(samples.length / 10) === 0);
for (const each of [...shown, last])
  row([
    each === last ? 'afterwards' : each.minute.toFixed(1),
    `${each.httpMb.toFixed(1)} (${each.httpHeapMb.toFixed(0)})`,
    `${each.inferenceMb.toFixed(1)} (${[each.inferenceHeapMb, each.inferenceArraysMb, each.prefixMb].map((mb) => mb.toFixed(0)).join(', ')})`,
    `${each.httpDescriptors} + ${each.inferenceDescriptors}`,
    each.running,
    each.waiting,
    each.sockets,
  ]);
const slopes = {
  httpMbPerHour: slope(samples, ({ httpMb }) => httpMb),
  inferenceMbPerHour: slope(samples, ({ inferenceMb }) => inferenceMb),
  descriptorsPerHour: slope(samples, (each) => each.httpDescriptors + each.inferenceDescriptors),
};
const put = (value: number): string => value.toFixed(1);
console.log(
  `\nafter the first third, per hour: HTTP ${put(slopes.httpMbPerHour)} MB, inference ${put(slopes.inferenceMbPerHour)} MB, descriptors ${put(slopes.descriptorsPerHour)}; idle afterwards: ${isIdleAgain}`,
);
for (const [way, outcomes] of Object.entries(counts))
  console.log(`${way}: ${JSON.stringify(outcomes)}`);
const { minutes: _, ...options } = values;
writeFileSync(
  values.out,
  JSON.stringify({ minutes, ...options, slopes, isIdleAgain, counts, samples, last }, null, 1),
);
