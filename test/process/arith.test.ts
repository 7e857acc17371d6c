/** The arithmetic policy of the default pack, served: it works problems out, and several answers are better than one. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadScorer } from '../../src/runtime/scorer.ts';
import { cpu } from '../../src/runtime/devices/device.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { closing, testOrt } from '../fakes/ort.ts';
import { arithProblems, firstWrongStep, isRight } from '../support/arith.ts';
import { pooled } from '../support/pooled.ts';
import { serve, type Served } from '../support/server.ts';

const models = new URL('../../models', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'coxswain-arith-'));
const problems = arithProblems().slice(0, 24);
let server: Served;

beforeAll(async () => {
  const file = join(folder, 'config.yaml');
  const policy = `{ path: ${models}/arith, role: policy }`;
  const verifiers = ['arith-value', 'arith-outcome'].map(
    (name) => `${name}: { path: ${models}/${name}, role: reward, head: scalar, reads: prefix }`,
  );
  const all = [`arith: ${policy}`, ...verifiers].join(', ');
  writeFileSync(file, `policy: arith\nmodels: { ${all} }\n`);
  server = await serve(['--config', file]);
}, 120_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string }[];
  readonly alignment: {
    readonly candidates: readonly { readonly status: string; readonly score: number }[];
  };
}

async function ask(prompt: string, fields: object = {}): Promise<Answer> {
  const body = { prompt, max_tokens: 110, seed: 5, ...fields };
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

async function rightOf(fields: object): Promise<number> {
  const right = await pooled(problems, 8, async (problem) => {
    const { choices } = await ask(problem.prompt, fields);
    return isRight(problem, choices[0]!.text);
  });
  return right.filter(Boolean).length;
}

test('problems and answers survive its tokenizer, whatever the text', () => {
  const codec = loadCodec(join(models, 'arith'));
  for (const { prompt, steps, answer } of problems) {
    const text = `${prompt}\n${steps.join('\n')}\nAnswer ${answer}`;
    const tokens = codec.encode(text);
    expect(codec.decode(tokens)).toBe(text);
    expect(tokens.length).toBeLessThan(text.length / 1.4); // words and digits, not bytes
  }
  for (const text of ['', ' ', 'naïve <|yes|> 🙂\n\t7,5.', 'Sam  has,7'])
    expect(codec.decode(codec.encode(text))).toBe(text);
});

test('it works most problems of 4 to 5 steps out to the end, greedily', async () => {
  const problem = problems[0]!;
  const { choices } = await ask(problem.prompt, { temperature: 0 });
  expect(choices[0]).toMatchObject({ finish_reason: 'stop' });
  expect(firstWrongStep(problem, choices[0]!.text)).toBeNull();
  expect(await rightOf({ temperature: 0 })).toBeGreaterThan(problems.length / 2);
});

test('votes and best-of-N choose among its answers', async () => {
  const strategies = [
    { type: 'vote', n: 6 },
    { type: 'best_of_n', n: 6, by: 'likelihood' },
  ];
  for (const strategy of strategies) {
    expect(await rightOf({ alignment: { strategy } })).toBeGreaterThan(problems.length / 2);
    const { alignment } = await ask(problems[1]!.prompt, { alignment: { strategy } });
    expect(alignment.candidates).toHaveLength(6);
    expect(alignment.candidates.filter(({ status }) => status === 'selected')).toHaveLength(1);
  }
});

const VALUE = [{ model: 'arith-value' }];
const STEP = { until: ['\n'], max_tokens: 24 };

test.each([
  { type: 'best_of_n', n: 6 },
  { type: 'segment_beam', width: 2, expand: 4, segment: STEP },
  { type: 'mcts', segment: STEP, iterations: 6 },
  { type: 'particles', n: 6, lambda: 4, every: 12 },
])('$type answers under the verifier, with a probability for its answer', async (strategy) => {
  const { choices, alignment } = await ask(problems[0]!.prompt, {
    alignment: { strategy, rewards: VALUE },
  });
  expect(choices[0]!.text).toMatch(/Answer \d+$/);
  const chosen = alignment.candidates.find(({ status }) => status === 'selected')!;
  expect(chosen.score).toBeGreaterThan(0);
  expect(chosen.score).toBeLessThan(1);
});

async function scoresOf(
  model: string,
  prompt: string,
  documents: readonly string[],
): Promise<number[]> {
  const response = await fetch(`${server.base}/v1/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ queries: prompt, documents, model }),
  });
  expect(response.status).toBe(200);
  const { data } = (await response.json()) as { data: readonly { readonly score: number }[] };
  return data.map(({ score }) => score);
}

test.each(['arith-value', 'arith-outcome'])(
  '%s prefers the right working to a wrong one of the same form',
  async (model) => {
    const right = await pooled(problems.slice(0, 12), 4, async ({ prompt, steps, answer }) => {
      const good = `\n${steps.join('\n')}\nAnswer ${answer}`;
      const bad = `\n${steps.join('\n')}\nAnswer ${(answer + 7) % 100}`;
      const [better, worse] = await scoresOf(model, prompt, [good, bad]);
      return better! > worse!;
    });
    expect(right.filter(Boolean).length).toBeGreaterThan(10);
  },
);

test('a verifier that was asked about the beginnings judges the whole as one that was not', async () => {
  const { prompt, steps, answer } = problems[13]!;
  const beginnings = steps.map((_, i) => `\n${steps.slice(0, i + 1).join('\n')}`);
  const whole = `${beginnings.at(-1)}\nAnswer ${answer}`;
  for (const beginning of beginnings) await scoresOf('arith-value', prompt, [beginning]);
  const [score] = await scoresOf('arith-value', prompt, [whole]);
  const folder = join(models, 'arith-value');
  const fresh = closing(loadScorer(cpu(testOrt()), folder, 'arith-value', 0));
  const codec = loadCodec(folder);
  const ids = [...codec.prompt(prompt), ...codec.encode(whole), ...codec.vocabulary.ends];
  expect(score).toBe(fresh.score([ids])[0]);
});
