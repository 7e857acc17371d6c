/** npm run evaluate:reliability [-- cancel sockets gateway slow metrics drain]: the figures of docs/reliability.md, each beside its goal. Asserts nothing (Linux). */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { remote } from '../../fakes/remote.ts';
import { serve } from '../../support/server.ts';
import type { Row } from './ask.ts';
import { cancelled } from './cancel.ts';
import { drained, metricsPage } from './ends.ts';
import { gatewayShare } from './gateway.ts';
import { slowReaders } from './slow.ts';
import { idleSockets } from './sockets.ts';

await using taste = await remote();
const folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
const file = join(folder, 'config.yaml');
const models = new URL('../../../models', import.meta.url).pathname;
const given = readFileSync(new URL('config.yaml', import.meta.url), 'utf8');
writeFileSync(
  file,
  `${given.replaceAll('../../../models', models)}
rewards:
  taste: { url: '${taste.url}', reads: prefix, attempt_ms: 60000, timeout_ms: 60000, retries: 0, failures: 1000 }
`,
);
const server = await serve(['--config', file]);
const { base } = server;

/** The last one stops the server. */
const MEASURES: Readonly<Record<string, () => Promise<Row[]>>> = {
  cancel: () => cancelled(base, taste),
  sockets: () => idleSockets(server),
  gateway: () => gatewayShare(server),
  slow: () => slowReaders(server),
  metrics: () => metricsPage(base),
  drain: () => drained(server),
};
const asked = process.argv.slice(2);
console.log('| what | measured | goal |\n| --- | --- | --- |');
for (const [name, measure] of Object.entries(MEASURES)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  for (const row of await measure()) console.log(`| ${row.join(' | ')} |`);
}
await server.stop();
rmSync(folder, { recursive: true });
