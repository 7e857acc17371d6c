/**
 * npm run bench [-- --quick] [--stage NAME] [--device NAME] [--kv NAME] [--json FILE]: tokens/s, time to first token and inter-token time at 1, 4, 16 and 32
 * streams, unguided and guided, in process and through HTTP SSE, and the same weights in transformers.js.
 * It measures and never asserts. Settings are interleaved in rounds; tables show medians over rounds, ratios are medians of each
 * round's own where both sides ran in it.
 */

import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { median, type Figures } from './closed_loop.ts';
import { loadLocal, type LocalFigures, type Window } from './local.ts';
import { measurePeer } from './peer.ts';
import { serve } from '../support/server.ts';
import { measureServed } from './served.ts';
import { largeStage, packStage, type Stage } from './stage.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    stage: { type: 'string' },
    device: { type: 'string', default: 'auto' },
    kv: { type: 'string', default: 'auto' },
    json: { type: 'string' },
  },
});
const ROUNDS = options.quick ? 1 : 3;
const WINDOW: Window = options.quick
  ? { warmMs: 300, windowMs: 1000 }
  : { warmMs: 400, windowMs: 2000 };
const STREAMS = [1, 4, 16, 32];
const NEW_TOKENS = 128;

interface Row {
  readonly stage: string;
  readonly path: 'in process' | 'HTTP SSE' | 'transformers.js';
  readonly guides: string;
  readonly streams: number;
  readonly tokensPerSecond: number;
  /** Of each round. */
  readonly rounds: readonly number[];
  readonly ttftP50?: number;
  readonly ttftP99?: number;
  readonly itlP50?: number;
  readonly itlP99?: number;
  readonly outside?: number;
}

interface Setting {
  readonly guides: string;
  readonly alignment: Record<string, unknown>;
}

/** Guides by the model names of a stage. */
const settings = (same: string, other: string, small: string): Setting[] => [
  { guides: 'none', alignment: {} },
  { guides: '1 same-size', alignment: { guides: [{ model: same, weight: 0.5 }] } },
  { guides: '1 small', alignment: { guides: [{ model: small, weight: 0.5 }] } },
  {
    guides: '2 same-size',
    alignment: {
      guides: [
        { model: same, weight: 0.5 },
        { model: other, weight: 0.5 },
      ],
    },
  },
];

const OPENINGS = [
  'Once upon a time, there was a careful boy named Peter. Peter had a friend',
  'One day, a funny boy named Sid was in the garden. His best friend was a dog',
  'There once was a sleepy girl named Ines, who lived near the park. She often',
  'Once there was a lazy pig called Rosie. Her best friend was a clever bird',
];

const bodyOf = (setting: Setting, i: number): Record<string, unknown> => ({
  prompt: `${OPENINGS[i % OPENINGS.length]} ${i % 97}`,
  max_tokens: NEW_TOKENS,
  alignment: setting.alignment,
});

async function inProcess(stage: Stage, all: readonly Setting[]): Promise<Row[]> {
  const { measure, engine } = loadLocal(stage.config);
  const runs = new Map<string, { setting: Setting; streams: number; figures: LocalFigures[] }>();
  for (let round = 0; round < ROUNDS; round++)
    for (const streams of STREAMS)
      for (const setting of all) {
        const key = `${setting.guides} ${streams}`;
        const entry = runs.get(key) ?? { setting, streams, figures: [] };
        entry.figures.push(await measure(streams, WINDOW, (i) => bodyOf(setting, i)));
        runs.set(key, entry);
      }
  engine.audit();
  return [...runs.values()].map(({ setting, streams, figures }) => ({
    ...row(stage, 'in process', setting.guides, streams, figures),
    outside: median(figures.map((f) => f.outside)),
  }));
}

async function overHttp(stage: Stage, all: readonly Setting[]): Promise<Row[]> {
  await using server = await serve(['--config', stage.config]);
  const rows: Row[] = [];
  for (const streams of STREAMS)
    for (const setting of all) {
      const bodies = Array.from({ length: 97 }, (_, i) => bodyOf(setting, i));
      const figures: Figures[] = [];
      for (let round = 0; round < ROUNDS; round++)
        figures.push(await measureServed(server.port, streams, WINDOW, bodies));
      rows.push(row(stage, 'HTTP SSE', setting.guides, streams, figures));
    }
  return rows;
}

async function peers(stage: Stage): Promise<Row[]> {
  const rows: Row[] = [];
  for (const batch of [1, 8, 32]) {
    const ours: number[] = [];
    const theirs: number[] = [];
    const { measure } = loadLocal(stage.config);
    for (let round = 0; round < ROUNDS; round++) {
      theirs.push(...(await measurePeer(stage.peer, batch, 75, NEW_TOKENS, 1)));
      const figures = await measure(batch, WINDOW, (i) => bodyOf(settings('', '', '')[0]!, i));
      ours.push(figures.tokensPerSecond);
    }
    const common = { stage: `${stage.name} (beside its peer)`, guides: 'none', streams: batch };
    rows.push({ ...common, path: 'in process', tokensPerSecond: median(ours), rounds: ours });
    rows.push({
      ...common,
      path: 'transformers.js',
      tokensPerSecond: median(theirs),
      rounds: theirs,
    });
  }
  return rows;
}

function row(
  stage: Stage,
  path: Row['path'],
  guides: string,
  streams: number,
  figures: readonly Figures[],
): Row {
  return {
    stage: stage.name,
    path,
    guides,
    streams,
    tokensPerSecond: median(figures.map((f) => f.tokensPerSecond)),
    rounds: figures.map((f) => f.tokensPerSecond),
    ttftP50: median(figures.map((f) => f.ttft.p50)),
    ttftP99: median(figures.map((f) => f.ttft.p99)),
    itlP50: median(figures.map((f) => f.itl.p50)),
    itlP99: median(figures.map((f) => f.itl.p99)),
  };
}

function table(rows: readonly Row[]): string {
  const ms = (x: number | undefined): string => (x === undefined ? '' : x.toFixed(1));
  return [
    '| stage | path | guides | streams | tokens/s | first token p50 / p99, ms | inter-token p50 / p99, ms | outside ORT |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(
      (r) =>
        `| ${r.stage} | ${r.path} | ${r.guides} | ${r.streams} | ${r.tokensPerSecond.toFixed(0)} | ` +
        `${ms(r.ttftP50)} / ${ms(r.ttftP99)} | ${ms(r.itlP50)} / ${ms(r.itlP99)} | ` +
        `${r.outside === undefined ? '' : `${(100 * r.outside).toFixed(0)} %`} |`,
    ),
  ].join('\n');
}

function ratios(rows: readonly Row[]): string {
  const find = (stage: string, path: Row['path'], guides: string, streams: number): Row =>
    rows.find(
      (r) => r.stage === stage && r.path === path && r.guides === guides && r.streams === streams,
    )!;
  const lines = ['| ratio | value |', '|---|---|'];
  const add = (what: string, value: number): void =>
    void lines.push(`| ${what} | ${value.toFixed(2)} |`);
  for (const { name: stage } of stages) {
    const plain = find(stage, 'in process', 'none', 16);
    for (const guides of ['1 same-size', '1 small', '2 same-size'])
      add(
        `${stage}: ${guides} / unguided, 16 streams`,
        paired(find(stage, 'in process', guides, 16), plain),
      );
    const served = find(stage, 'HTTP SSE', 'none', 16); // minutes apart: no rounds in common
    add(
      `${stage}: HTTP SSE / in process, 16 streams`,
      served.tokensPerSecond / plain.tokensPerSecond,
    );
    const beside = `${stage} (beside its peer)`;
    for (const streams of [1, 8, 32])
      add(
        `${stage}: in process / transformers.js, ${streams}`,
        paired(
          find(beside, 'in process', 'none', streams),
          find(beside, 'transformers.js', 'none', streams),
        ),
      );
  }
  return lines.join('\n');
}

/** The median of each round's ratio: what slows a whole round down is in both of its sides. */
const paired = (a: Row, b: Row): number => median(a.rounds.map((rate, i) => rate / b.rounds[i]!));

const stages = [packStage(options), largeStage(options)].filter(
  ({ name }) => name === (options.stage ?? name),
);
const rows: Row[] = [];
for (const stage of stages) {
  const all = settings('guide-a', 'guide-b', 'guide-small');
  rows.push(...(await inProcess(stage, all)));
  rows.push(...(await overHttp(stage, all.slice(0, 2))));
  rows.push(...(await peers(stage)));
}
const machine = `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores, Node ${process.version}, device ${options.device}`;
console.log(`${machine}\n\n${table(rows)}\n\n${ratios(rows)}`);
if (options.json !== undefined)
  writeFileSync(options.json, JSON.stringify({ machine, rows }, null, 2));
process.exit(0);
