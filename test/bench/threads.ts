/**
 * npm run bench:threads: what ONNX Runtime's threads cost a server that shares its cores with its HTTP process and its client.
 * One server a setting, asked in turns; tokens/s and inter-token p99 over HTTP SSE, unguided, medians of rounds.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { median, type Figures } from './closed_loop.ts';
import { serve } from '../support/server.ts';
import { measureServed } from './served.ts';
import { largeStage, packStage, type Stage } from './stage.ts';

const CORES = availableParallelism();
/** The default is by size: one for the pack's shape, both for the larger one. */
const SETTINGS = [
  `threads: ${CORES}`,
  `threads: ${CORES}, spin: false`,
  `threads: ${Math.max(1, CORES - 1)}`,
];
const STREAMS = [1, 16];
const ROUNDS = 3;
const WINDOW = { warmMs: 400, windowMs: 2000 };

const bodies = Array.from({ length: 97 }, (_, i) => ({
  prompt: `Once upon a time, there was a careful boy named Peter. ${i}`,
  max_tokens: 128,
}));

/** The stage's config with a setting of the engine's added. */
function configOf({ config }: Stage, setting: string, i: number): string {
  const file = config.replace('.yaml', `-${i}.yaml`);
  writeFileSync(file, readFileSync(config, 'utf8').replace('engine: {', `engine: { ${setting},`));
  return file;
}

/** Of each setting: figures by number of streams. */
async function measure(stage: Stage): Promise<Map<number, Figures[]>[]> {
  const servers = await Promise.all(
    SETTINGS.map((setting, i) => serve(['--config', configOf(stage, setting, i)])),
  );
  const figures = SETTINGS.map(() => new Map(STREAMS.map((n) => [n, [] as Figures[]])));
  for (let round = 0; round < ROUNDS; round++)
    for (const streams of STREAMS)
      for (const [i, { port }] of servers.entries())
        figures[i]!.get(streams)!.push(await measureServed(port, streams, WINDOW, bodies));
  await Promise.all(servers.map((server) => server.stop()));
  return figures;
}

const told = (figures: readonly Figures[]): string => {
  const [rate, p99] = [figures.map((f) => f.tokensPerSecond), figures.map((f) => f.itl.p99)];
  return `${median(rate).toFixed(0)} (${median(p99).toFixed(1)})`;
};

const stages = [packStage(), largeStage()];
const columns = stages.flatMap(({ name }) => STREAMS.map((n) => `${name}, ${n}`));
console.log(`| engine | ${columns.join(' | ')} |\n|---${'|---'.repeat(columns.length)}|`);
const measured = [];
for (const stage of stages) measured.push(await measure(stage));
for (const [i, setting] of SETTINGS.entries())
  console.log(
    `| ${setting} | ${measured.flatMap((m) => STREAMS.map((n) => told(m[i]!.get(n)!))).join(' | ')} |`,
  );
