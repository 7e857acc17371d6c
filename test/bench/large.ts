/**
 * npm run bench:large [-- --small]: a decoder of 1.24 billion random weights, 8-bit, as a policy and under a second name as its guide: how long
 * the server takes until it is ready, what both processes hold, and what guidance costs. The two share one file, so they share
 * one copy of the weights; a step reads them twice all the same. 7 GB of disk and 3 GB of memory.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importModel } from '../../src/importer/import.ts';
import { serve, type Served } from '../support/server.ts';
import { BILLION, TENTH, writeCheckpoint } from './billion.ts';
import { median } from './closed_loop.ts';
import { measureServed } from './served.ts';

const STREAMS = [1, 4];
const ROUNDS = 3;
const WINDOW = { warmMs: 4000, windowMs: 12_000 };
const GUIDED = { guides: [{ model: 'guide', weight: 0.5 }] };

interface Started {
  readonly seconds: number;
  readonly megabytes: number;
}

/** Starts the server on a config, looks, and lets `use` work with it. */
async function started(
  config: string | null,
  use: (server: Served) => Promise<void> = async () => undefined,
): Promise<Started> {
  const began = performance.now();
  await using server = await serve(config === null ? [] : ['--config', config]);
  const seconds = (performance.now() - began) / 1000;
  const processes = `${server.pid},${execFileSync('pgrep', ['-P', `${server.pid}`], { encoding: 'utf8' }).trim()}`;
  const resident = execFileSync('ps', ['-o', 'rss=', '-p', processes], { encoding: 'utf8' });
  const kilobytes = resident.split('\n').reduce((sum, line) => sum + Number(line), 0);
  await use(server);
  return { seconds, megabytes: kilobytes / 1024 };
}

const row = (...cells: readonly string[]): void => console.log(`| ${cells.join(' | ')} |`);
const met = (isMet: boolean): string => (isMet ? 'met' : 'missed');
/** @param most seconds until it is ready */
const told = (what: string, { seconds, megabytes }: Started, most: number): void =>
  row(what, seconds.toFixed(1), `${met(seconds <= most)}: at most ${most}`, megabytes.toFixed(0));
/** Guided tokens/s are to be this share of the unguided ones. */
const SHARE = 0.45;
/** Of a model's weights: what a second one of the same file may take beside, for its KV and buffers. */
const SECOND_COPY = 0.1;

async function guidance(server: Served): Promise<void> {
  row('streams', 'unguided, tokens/s', 'guided, tokens/s', 'guided / unguided', 'goal');
  row('---', '---', '---', '---', '---');
  const bodies = (alignment: object): Record<string, unknown>[] => [
    { model: 'policy', prompt: 'Once upon a time', max_tokens: 16, stream: true, alignment },
  ];
  for (const streams of STREAMS) {
    const rounds: [number, number][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const plain = await measureServed(server.port, streams, WINDOW, bodies({}));
      const guided = await measureServed(server.port, streams, WINDOW, bodies(GUIDED));
      rounds.push([plain.tokensPerSecond, guided.tokensPerSecond]);
    }
    const of = (f: (round: [number, number]) => number): number => median(rounds.map(f));
    const share = of(([plain, guided]) => guided / plain);
    row(
      `${streams}`,
      of(([plain]) => plain).toFixed(2),
      of(([, guided]) => guided).toFixed(2),
      share.toFixed(2),
      `${met(share >= SHARE)}: at least ${SHARE}`,
    );
  }
  console.log();
}

const folder = mkdtempSync(join(tmpdir(), 'coxswain-bench-'));
try {
  const from = join(folder, 'checkpoint');
  writeCheckpoint(from, process.argv.includes('--small') ? TENTH : BILLION);
  importModel({ from, to: join(folder, 'model'), role: 'policy', weights: 'int8', created: 0 });
  rmSync(from, { recursive: true });
  const config = (name: string, ...lines: readonly string[]): string => {
    const file = join(folder, name);
    const settings = ['policy: policy', 'server: { log: warn }', 'engine: { max_seq: 256 }'];
    writeFileSync(file, [...settings, 'models:', ...lines, ''].join('\n'));
    return file;
  };
  const policy = '  policy: { path: model, role: policy }';
  const guide = '  guide: { path: model, role: policy }';
  const weights = statSync(join(folder, 'model', 'model.onnx_data')).size / 2 ** 20;
  const one = await started(config('one.yaml', policy));
  const two = await started(config('two.yaml', policy, guide), guidance);
  row('what', 'seconds until ready', 'goal', 'resident, MB');
  row('---', '---', '---', '---');
  told('the default pack', await started(null), 2);
  told(`8-bit weights of ${weights.toFixed(0)} MB`, one, 10);
  told('the same file as policy and as guide', two, 10);
  const more = two.megabytes - one.megabytes;
  console.log(
    `\nthe second takes ${more.toFixed(0)} MB more, ${(more / weights).toFixed(2)} of the weights ` +
      `(${met(more <= SECOND_COPY * weights)}: no second copy, at most ${SECOND_COPY} of them)`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
