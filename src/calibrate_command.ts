/** The `calibrate` command: a model's folder gets the file that lets its KV be kept as int8. */

import { createHash } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readManifest, verifyFiles } from './ops/manifest.ts';
import { cpu } from './runtime/devices/device.ts';
import { loadDecoder } from './runtime/decoder.ts';
import { distanceOf, scalesOf, type Texts } from './runtime/kv/calibrate.ts';
import { SCALES_FILE } from './runtime/kv/scales.ts';
import { Ort } from './runtime/ort/ort.ts';
import { shapeOf } from './runtime/shape.ts';
import { loadCodec } from './runtime/text/tokenizer.ts';

const USAGE = `usage: calibrate <model folder> [--most NATS] [--seed N]
  --most NATS   write nothing if the model's laws move further, by their mean KL; default 0.001
  --seed N      of the texts that it is measured on; default 1`;

const OPTIONS = {
  most: { type: 'string', default: '0.001' },
  seed: { type: 'string', default: '1' },
} as const;

/**
 * Runs the command; yields a line for the terminal now and then, and returns what to print. Throws an Error with a
 * message for the user; then nothing is written.
 */
export function* calibrateCommand(args: readonly string[]): Generator<string, string> {
  const asked = parse(args);
  const manifest = readManifest(asked.model);
  const { folder } = manifest;
  if (manifest.head !== undefined || manifest.layout !== undefined)
    throw new Error(`${folder} is no language model that the importer wrote: only those keep int8`);
  verifyFiles(manifest);
  const codec = loadCodec(folder);
  const [vocab, opening] = [codec.vocabulary.size, codec.prompt('')];
  const textsOf = (seed: bigint): Texts => ({ vocab, opening, seed });
  using ort = new Ort({ threads: 0 });
  const device = cpu(ort);
  yield 'reads texts of its own';
  using model = loadDecoder(device, folder, manifest.name);
  const scales = scalesOf(model, shapeOf(folder), textsOf(asked.seed));
  yield 'compares int8 with float32 on others';
  using other = loadDecoder(device, folder, manifest.name, scales);
  const { mean, most, agreement } = distanceOf(model, other, textsOf(asked.seed + 1n));
  const found = `KL of its laws ${mean.toExponential(1)} nats (farthest ${most.toFixed(3)}), the same token likeliest ${(100 * agreement).toFixed(2)} % of the time`;
  if (!(mean <= asked.most))
    throw new Error(`${folder}: ${found}: more than ${asked.most}; its KV stays float32`);
  write(folder, scales);
  return `${join(folder, SCALES_FILE)}: ${other.kvBytes} bytes of KV a token instead of ${model.kvBytes}; ${found}`;
}

/** The file, then the manifest that names it: in between the folder is what it was. */
function write(folder: string, scales: object): void {
  const bytes = Buffer.from(`${JSON.stringify(scales)}\n`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const { folder: _, ...manifest } = readManifest(folder);
  const files = { ...manifest.files, [SCALES_FILE]: { bytes: bytes.length, sha256 } };
  replace(join(folder, SCALES_FILE), bytes);
  replace(
    join(folder, 'manifest.json'),
    Buffer.from(`${JSON.stringify({ ...manifest, files }, null, 2)}\n`),
  );
}

function replace(path: string, bytes: Buffer): void {
  const beside = `${path}.${process.pid}`;
  try {
    writeFileSync(beside, bytes, { flag: 'wx' });
    renameSync(beside, path);
  } finally {
    rmSync(beside, { force: true });
  }
}

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  });
  const [model, ...more] = positionals;
  if (model === undefined || more.length > 0) throw new Error(USAGE);
  const most = Number(values.most);
  if (!(most > 0)) throw new Error(`--most is ${values.most}; it must be a number above zero`);
  if (!/^\d{1,9}$/.test(values.seed))
    throw new Error(`--seed is ${values.seed}; it must be a whole number of at most 9 digits`);
  return { model, most, seed: BigInt(values.seed) };
}
