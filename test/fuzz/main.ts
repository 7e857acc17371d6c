/**
 * npm run fuzz -- --cases 10000 --seed 1 [--endpoint /v1/score] [--from 0]: a long storm on every endpoint of a server of
 * its own, over WebSockets too (ws:/v1/responses), and of bytes that are no HTTP.
 */

import { parseArgs } from 'node:util';
import { ENDPOINTS } from './bodies.ts';
import { SOCKETS, stormFrames } from './frames.ts';
import { stormBytes } from './malformed.ts';
import { serveStormed } from './server.ts';
import { beside, bystander, held, storm } from './storm.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    endpoint: { type: 'string' },
  },
});
const [cases, seed, from] = [values.cases, values.seed, values.from].map(Number) as [
  number,
  number,
  number,
];

await using server = await serveStormed();
const { base } = server;
const alone = await bystander(base);
let faults = 0;

/** Prints a line of the report. */
async function weather<T extends { faults: readonly string[] }>(name: string, work: Promise<T>) {
  const start = performance.now();
  const { result, streams, changed } = await beside(base, alone, work);
  const { faults: found, ...figures } = result;
  const bad = [...found, ...changed.map((text) => `the bystander said ${text}`)];
  const left = await held(base);
  bad.push(...left.map((what) => `left: ${what}`));
  faults += bad.length;
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(
    `${name}: ${bad.length} faults, ${JSON.stringify(figures)}, ${streams} bystanders, ${seconds} s`,
  );
  for (const line of bad.slice(0, 20)) console.log(`  ${line}`);
}

const asked = (name: string): boolean => (values.endpoint ?? name) === name;
for (const endpoint of ENDPOINTS.filter(asked))
  await weather(endpoint, storm({ base, endpoint, cases, seed, from }));
for (const path of SOCKETS)
  if (asked(`ws:${path}`))
    await weather(`ws:${path}`, stormFrames({ base, path, cases, seed, from }));
if (asked('bytes'))
  await weather('bytes that are no HTTP', stormBytes({ port: server.port, cases, seed }));
process.exitCode = faults === 0 ? 0 : 1;
