/** A short storm of hostile bodies and bytes on the real server; `npm run fuzz` is the long one. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENDPOINTS } from '../fuzz/bodies.ts';
import { SOCKETS, stormFrames } from '../fuzz/frames.ts';
import { stormBytes } from '../fuzz/malformed.ts';
import { serveStormed } from '../fuzz/server.ts';
import { beside, bystander, held, storm } from '../fuzz/storm.ts';
import type { Served } from '../support/server.ts';

const CASES = 150;
const SEED = 1;
let server: Served;
let alone: string;

beforeAll(async () => {
  server = await serveStormed();
  alone = await bystander(server.base);
}, 120_000);
afterAll(() => server.stop());

for (const endpoint of ENDPOINTS)
  test(`${endpoint}: every answer is 200 or a 4xx in shape, and a bystander hears nothing of it`, async () => {
    const { base } = server;
    const work = storm({ base, endpoint, cases: CASES, seed: SEED });
    const { result, changed } = await beside(base, alone, work);
    expect(result.faults).toEqual([]);
    expect(changed).toEqual([]);
    expect(await held(base)).toEqual([]);
    expect(result.statuses['200']).toBeGreaterThan(5); // what is well-formed is served
    expect(result.statuses['400']).toBeGreaterThan(5);
  });

for (const path of SOCKETS)
  test(`WebSockets at ${path}: messages leave a socket usable, broken frames end it`, async () => {
    const work = stormFrames({ base: server.base, path, cases: CASES, seed: SEED });
    const { result, changed } = await beside(server.base, alone, work);
    expect(result.faults).toEqual([]);
    expect(changed).toEqual([]);
    expect(await held(server.base)).toEqual([]);
    expect(result.statuses['invalid_value']).toBeGreaterThan(5);
  });

test('bytes that are no HTTP get a 4xx or an end', async () => {
  const work = stormBytes({ port: server.port, cases: CASES, seed: SEED });
  const { result, changed } = await beside(server.base, alone, work);
  expect(result.faults).toEqual([]);
  expect(changed).toEqual([]);
  expect(await held(server.base)).toEqual([]);
});
