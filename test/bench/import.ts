/**
 * How fast a checkpoint is imported, and in how much memory: a Llama of 1.2 billion random float32 weights is written
 * to a temporary folder, copied with cp, and imported once for each format in a process of its own. 10 GB of disk.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BILLION, TENTH, writeCheckpoint } from './billion.ts';

interface Measured {
  readonly seconds: number;
  readonly cpu: number;
  readonly rss: number;
}

/** Goals: twice the time of cp, and the source at so many bytes a second; and so much memory. */
const QUANTISING = 150e6;
const MOST_MEGABYTES = 3000;

/** A goal, and whether it is met. */
const against = (value: number, most: number, digits: number): string =>
  `${value <= most ? 'met' : 'missed'}: at most ${most.toFixed(digits)}`;

/** In a process of its own, so that its peak of memory is the import's. */
function importOnce(from: string, to: string, weights: string): Measured {
  const script = `
    import('${join(process.cwd(), 'dist/importer/import.js')}').then(({ importModel }) => {
      const started = performance.now();
      importModel({ from: '${from}', to: '${to}', role: 'policy', weights: '${weights}', created: 0 });
      const { user, system } = process.cpuUsage();
      const rss = process.resourceUsage().maxRSS * 1024;
      console.log(JSON.stringify({ seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6, rss }));
    });`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Measured;
}

const folder = mkdtempSync(join(tmpdir(), 'coxswain-bench-'));
try {
  const from = join(folder, 'checkpoint');
  const bytes = writeCheckpoint(from, process.argv.includes('--small') ? TENTH : BILLION);
  const weights = join(from, 'model.safetensors');
  const copy = join(folder, 'copy');
  const started = performance.now();
  execFileSync('cp', [weights, copy]);
  const seconds = (performance.now() - started) / 1000;
  rmSync(copy);
  const row = (...cells: readonly string[]) => console.log(`| ${cells.join(' | ')} |`);
  row(
    '',
    'seconds',
    'goal',
    'MB of source a second',
    'seconds of CPU',
    'peak memory, MB',
    'goal',
    'written, MB',
  );
  row(...Array.from({ length: 8 }, () => '---'));
  const mega = (value: number) => (value / 1e6).toFixed(0);
  row('cp', seconds.toFixed(1), '', mega(bytes / seconds), '', '', '', mega(bytes));
  const most = 2 * seconds + bytes / QUANTISING;
  const formats = ['int8', 'int4', 'float16', 'float32'];
  const asked = formats.filter((format) => process.argv.includes(format));
  for (const format of asked.length > 0 ? asked : formats) {
    const to = join(folder, 'models', format);
    const measured = importOnce(from, to, format);
    const written = statSync(join(to, 'model.onnx_data'), { throwIfNoEntry: false })?.size ?? 0;
    rmSync(to, { recursive: true });
    row(
      format,
      measured.seconds.toFixed(1),
      against(measured.seconds, most, 1),
      mega(bytes / measured.seconds),
      measured.cpu.toFixed(1),
      mega(measured.rss),
      against(measured.rss / 1e6, MOST_MEGABYTES, 0),
      mega(written),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
