/** Stores what was measured in a model's manifest, and in the card beside it. */

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricsTable } from '../../src/importer/card.ts';
import type { Manifest } from '../../src/importer/pack.ts';

const CARD = 'README.md';

/** @param folder a model's @param measured what takes the place of the facts of these names */
export function writeFacts(folder: string, measured: Readonly<Record<string, unknown>>): void {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  const facts = { ...manifest.facts, ...measured };
  const card = readFileSync(join(folder, CARD), 'utf8').replace(
    /(?<=\n## Metrics\n\n)[^]*?(?=\n\n## Limits\n)/,
    () => metricsTable(facts),
  );
  const bytes = Buffer.from(card);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const files = { ...manifest.files, [CARD]: { bytes: bytes.length, sha256 } };
  writeFileSync(join(folder, CARD), bytes);
  writeFileSync(path, `${JSON.stringify({ ...manifest, files, facts }, null, 2)}\n`);
}
