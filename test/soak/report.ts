/** The tables of a soak: what was held when, and how each part moved once the caches were full. */

import type { Sample } from './sample.ts';
import { trendOf, type Trend } from './trend.ts';

/** The share of the time in which caches fill, pools are touched for the first time and code is compiled. */
const WARM = 1 / 3;
const SHOWN = 12;

const mb = (value: number): string => value.toFixed(1);

const COLUMNS: readonly (readonly [head: string, cell: (sample: Sample) => string | number])[] = [
  ['HTTP MB', ({ http }) => mb(http)],
  ['heap', ({ httpHeap }) => mb(httpHeap)],
  ['rest', ({ httpRest }) => mb(httpRest)],
  ['responses + rules', (s) => `${mb(s.responses)} + ${mb(s.compiledRules)}`],
  ['inference MB', ({ inference }) => mb(inference)],
  ['heap', ({ heap }) => mb(heap)],
  ['arrays', ({ arrays }) => mb(arrays)],
  ['rest', ({ rest }) => mb(rest)],
  ['prompts + scores + rules', (s) => [s.prompts, s.scores, s.rules].map(mb).join(' + ')],
  ['descriptors', (s) => `${s.httpDescriptors} + ${s.inferenceDescriptors}`],
  ['running, waiting, sockets', (s) => [s.running, s.waiting, s.sockets].join(', ')],
];

const TRENDS = {
  'HTTP MB': (s: Sample) => s.http,
  'its heap': (s: Sample) => s.httpHeap,
  'its rest': (s: Sample) => s.httpRest,
  'inference MB': (s: Sample) => s.inference,
  'its heap ': (s: Sample) => s.heap,
  'its arrays': (s: Sample) => s.arrays,
  'its rest ': (s: Sample) => s.rest,
  'caches of both': (s: Sample) => s.responses + s.compiledRules + s.prompts + s.scores + s.rules,
  descriptors: (s: Sample) => s.httpDescriptors + s.inferenceDescriptors,
} as const;

const row = (cells: readonly (string | number)[]): void => console.log(`| ${cells.join(' | ')} |`);

/** @param last when all had ended */
export function printSamples(samples: readonly Sample[], last: Sample | null): void {
  row(['minute', ...COLUMNS.map(([head]) => head)]);
  row(['---', ...COLUMNS.map(() => '---')]);
  const shown = samples.filter((_, i) => i % Math.ceil(samples.length / SHOWN) === 0);
  for (const each of shown) row([each.minute.toFixed(1), ...COLUMNS.map(([, of]) => of(each))]);
  if (last !== null) row(['afterwards', ...COLUMNS.map(([, of]) => of(last))]);
}

/** Per hour, after the warm-up. @param minutes of all */
export function trendsOf(samples: readonly Sample[], minutes: number): Record<string, Trend> {
  const late = samples.filter(({ minute }) => minute >= WARM * minutes);
  return Object.fromEntries(
    Object.entries(TRENDS).map(([name, of]) => [
      name,
      trendOf(late.map((each) => [each.minute / 60, of(each)])),
    ]),
  );
}

export function printTrends(trends: Readonly<Record<string, Trend>>): void {
  console.log('');
  row(['after the first third', 'per hour', 'standard error']);
  row(['---', '---', '---']);
  for (const [name, { slope, standardError }] of Object.entries(trends))
    row([name, mb(slope), mb(standardError)]);
}
