/** npm run evaluate:memory [-- REQUESTS]: resident memory of both processes while thousands of requests pass (Linux). */

import { pooled } from '../support/pooled.ts';
import { serve } from '../support/server.ts';
import { inferenceOf, residentMb } from '../support/watch.ts';

const TOTAL = Number(process.argv[2] ?? 20_000);
const STEP = TOTAL / 10;

await using server = await serve();
const child = inferenceOf(server.pid)!;

async function ask(i: number): Promise<void> {
  const guides = [[], [{ model: 'arm-happy', weight: 0.5 }], [{ model: 'arm-kind', weight: 0.3 }]];
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tales',
      prompt: `One day, a boy named Tom found ${i} old maps in the garden.`,
      max_tokens: 6,
      seed: i,
      stream: i % 2 === 0,
      alignment: { guides: guides[i % 3] },
    }),
  });
  if (!response.ok) throw new Error(await response.text());
  await response.text();
}

console.log('| requests | HTTP process, MB | inference process, MB | together, MB |');
console.log('|---|---|---|---|');
for (let done = 0; done < TOTAL; done += STEP) {
  const batch = Array.from({ length: STEP }, (_, i) => done + i);
  await pooled(batch, 32, (i) => ask(i));
  const [http, inference] = [residentMb(server.pid), residentMb(child)];
  console.log(
    `| ${done + STEP} | ${http.toFixed(1)} | ${inference.toFixed(1)} | ${(http + inference).toFixed(1)} |`,
  );
}
