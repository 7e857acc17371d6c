/** npm run evaluate:determinism: 200 seeded requests, byte for byte: alone, in a crowd of 32, and after a restart. */

import { readFileSync } from 'node:fs';
import { pooled } from '../support/pooled.ts';
import { serve } from '../support/server.ts';

const prompts = readFileSync(new URL('../data/prompts.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { prompt: string }).prompt);

const GUIDES = [
  [],
  [{ model: 'arm-happy', weight: 0.5 }],
  [
    { model: 'arm-kind', weight: 1 },
    { model: 'arm-happy-small', weight: -0.2 },
  ],
  [{ plus: 'arm-happy', minus: 'tales', weight: 0.3 }],
];

/** Text and log-probs of one seeded request; guides, temperature, truncation and form differ from one to the next. */
async function answer(base: string, prompt: string, seed: number): Promise<string> {
  const alignment = { guides: GUIDES[seed % GUIDES.length], explain: true };
  const drawing = { seed, temperature: [1, 0.7, 1.3][seed % 3], top_p: seed % 5 === 0 ? 0.9 : 1 };
  const response = await fetch(`${base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'tales',
      prompt,
      max_tokens: 80,
      logprobs: 3,
      ...drawing,
      alignment,
    }),
  });
  if (!response.ok) throw new Error(await response.text());
  return JSON.stringify(((await response.json()) as { choices: unknown }).choices);
}

async function answers(base: string, crowd: number): Promise<string[]> {
  return pooled(prompts, crowd, (prompt, seed) => answer(base, prompt, seed));
}

async function before(): Promise<[alone: string[], crowd: string[]]> {
  await using server = await serve();
  return [await answers(server.base, 1), await answers(server.base, 32)];
}

async function after(): Promise<string[]> {
  await using server = await serve();
  return await answers(server.base, 32);
}

const [alone, crowd] = await before();
for (const [name, others] of [
  ['in a crowd of 32', crowd],
  ['after a restart, in a crowd of 32', await after()],
] as const) {
  const same = others.filter((text, i) => text === alone[i]).length;
  console.log(`${name}: ${same} of ${others.length} identical to alone`);
}
