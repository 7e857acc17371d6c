/** From a client that leaves to its slots being free, in every phase: seen by asking /metrics again and again, so a reading late. */

import { remote } from '../../fakes/remote.ts';
import { figure } from '../../support/watch.ts';
import { post, spread, type Body, type Row } from './ask.ts';

const TIMES = 20;

type Remote = Awaited<ReturnType<typeof remote>>;

/** What is asked for, and how far it has to have come. */
interface Phase {
  readonly name: string;
  readonly body: Body;
  /** How many such requests; more than fit wait. */
  readonly requests?: number;
  readonly isThere: (base: string, taste: Remote) => Promise<boolean>;
}

const running = async (base: string): Promise<boolean> =>
  (await figure(base, 'requests_running')) > 0;
const waiting = async (base: string): Promise<boolean> =>
  (await figure(base, 'requests_waiting')) > 0;
/** Looks once a turn: the request that it waits for comes over this very event loop. */
const isAsked = async (_: string, { asked }: Remote): Promise<boolean> => {
  await new Promise((resolve) => setImmediate(resolve));
  return asked.length > 0;
};

const best = (n: number, more: Body): Body => ({
  max_tokens: 24,
  alignment: { strategy: { type: 'best_of_n', n, ...more }, rewards: [{ http: 'taste' }] },
});
const long = { max_tokens: 300, stream: true };

export const PHASES: readonly Phase[] = [
  { name: 'queued', body: { ...long, n: 32, max_tokens: 200 }, requests: 4, isThere: waiting },
  {
    name: 'prefill',
    body: { ...long, max_tokens: 4, prompt: 'Tom saw a dog. '.repeat(60) },
    isThere: running,
  },
  { name: 'decode', body: long, isThere: running },
  { name: 'decode, a group of 16', body: { ...long, n: 16 }, isThere: running },
  { name: 'scoring, a group of 16', body: best(16, {}), isThere: isAsked },
  {
    name: 'pruning, a group of 16',
    body: best(16, { prune: { type: 'speculative_rejection', alpha: 0.5, at: [8] } }),
    isThere: isAsked,
  },
];

export async function cancelled(base: string, taste: Remote): Promise<Row[]> {
  const rows: Row[] = [];
  for (const phase of PHASES) {
    const [ms, iterations]: [number[], number[]] = [[], []];
    for (let i = 0; ms.length < TIMES && i < 10 * TIMES; i++) {
      const once = await leave(base, taste, phase, i);
      if (once === null) continue;
      ms.push(once.ms);
      iterations.push(once.iterations);
    }
    rows.push([
      `cancel to slots free, ${phase.name} (${ms.length} times)`,
      `${spread(ms, 'ms')}; at most ${Math.max(...iterations)} iterations`,
      'at most 1 iteration, p99 100 ms',
    ]);
  }
  return rows;
}

/** Null: the request was over before it was seen in its phase. */
async function leave(
  base: string,
  taste: Remote,
  { body, requests = 1, isThere }: Phase,
  i: number,
) {
  taste.asked.length = 0;
  taste.answer = () => undefined; // scores are waited for
  const client = new AbortController();
  const sent = Array.from({ length: requests }, (_, r) =>
    post(base, { ...body, seed: i * requests + r }, client.signal).then((response) =>
      response.text(),
    ),
  );
  let over = false;
  const gone = Promise.allSettled(sent).then(() => (over = true));
  while (!(await isThere(base, taste))) if (over) return null;
  const before = await figure(base, 'iterations_total');
  const left = performance.now();
  client.abort();
  let after = before;
  do after = await figure(base, 'iterations_total');
  while ((await running(base)) || (await figure(base, 'kv_cache_usage_ratio')) > 0);
  const ms = performance.now() - left;
  await gone;
  return { ms, iterations: after - before };
}
