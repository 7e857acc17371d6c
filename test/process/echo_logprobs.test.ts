/** Perplexity and multiple choice over the wire: what lm-evaluation-harness sends to `local-completions`, and reads. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../fakes/server.ts';
import { serve, type Served } from '../support/server.ts';

let server: Served;
beforeAll(async () => void (server = await serve()), 120_000);
afterAll(() => server.stop());

interface Logprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  readonly text_offset: number[];
}
interface Choice {
  readonly index: number;
  readonly text: string;
  readonly logprobs: Logprobs;
}
interface Body {
  readonly [field: string]: unknown;
}

async function ask<T>(path: string, body: Body): Promise<T> {
  const response = await fetch(`${server.base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', ...body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return JSON.parse(text) as T;
}

const choicesOf = async (body: Body): Promise<Choice[]> =>
  (await ask<{ choices: Choice[] }>('/v1/completions', body)).choices;

const idsOf = async (prompt: string, special: boolean): Promise<number[]> =>
  (await ask<{ tokens: number[] }>('/tokenize', { prompt, add_special_tokens: special })).tokens;

/** As `LocalCompletionsAPI._create_payload` has it. */
const request = (prompt: readonly (readonly number[])[], more: Body = {}): Body => ({
  prompt,
  temperature: 0,
  max_tokens: 1,
  logprobs: 1,
  seed: 1234,
  echo: true,
  ...more,
});

/** As `LocalCompletionsAPI.parse_logprobs` reads it: the token that was drawn beyond the text is left out. */
function parsed(choices: readonly Choice[], context: number) {
  return choices
    .toSorted((a, b) => a.index - b.index)
    .map(({ logprobs: { token_logprobs, top_logprobs } }) => {
      const tokens = token_logprobs.slice(context, -1).map(Number);
      const tops = top_logprobs.slice(context, -1);
      return {
        sum: tokens.reduce((sum, one) => sum + one, 0),
        greedy: tokens.every((one, t) => one === Math.max(...Object.values(tops[t]!))),
        tokens,
      };
    });
}

const CONTEXT = 'Once upon a time, there was a girl named Lily. Lily had a';
const ENDINGS = [' red ball. She', ' purple tax form.'];

test('log-likelihoods of endings are those of the likelihood reward, and greed is seen', async () => {
  const context = await idsOf(CONTEXT, true);
  const { choices } = await ask<{ choices: { text: string; logprobs: Logprobs }[] }>('/v1/completions', { prompt: CONTEXT, temperature: 0, max_tokens: 12, logprobs: 1 }); // prettier-ignore
  const greedy = choices[0]!;
  const endings = [...ENDINGS, greedy.text];
  const ids = await Promise.all(endings.map((ending) => idsOf(ending, false)));
  const asked = ids.map((ending) => [...context, ...ending]);
  const told = parsed(await choicesOf(request(asked)), context.length);
  expect(told.map((one) => one.greedy)).toEqual([false, false, true]);
  const reward = { likelihood: 'tales', aggregate: 'sum' };
  const scores = await ask<{ data: { score: number }[] }>('/v1/score', { queries: CONTEXT, documents: endings, complete: false, alignment: { rewards: [reward] } }); // prettier-ignore
  scores.data.forEach(({ score }, i) => expect(told[i]!.sum, endings[i]).toBeCloseTo(score, 2));
  expect(told[0]!.sum).toBeGreaterThan(told[1]!.sum);
  expect(told[2]!.tokens).toHaveLength(12);
  // A token that is drawn, and the same in a prompt: apart in the third decimal where weights are int8 (docs/api.md).
  greedy.logprobs.token_logprobs.forEach((one, i) =>
    expect(Math.abs(told[2]!.tokens[i]! - one!), `token ${i}`).toBeLessThan(0.03),
  );
});

test('/v1/score tells each token’s log-prob and log-ratio, as `echo` and the sums have them', async () => {
  const context = await idsOf(CONTEXT, true);
  const rewards = [
    { id: 'p', likelihood: 'tales', aggregate: 'sum' },
    { id: 'rto', plus: 'tales-dpo', minus: 'tales', beta: 0.1 },
  ];
  interface Told { score: number | null; parts: Record<string, number>; tokens: Record<string, { id: number; token: string; score: number }[]> } // prettier-ignore
  const body = { queries: CONTEXT, documents: ENDINGS, tokens: true, alignment: { rewards } };
  const { data } = await ask<{ data: Told[] }>('/v1/score', body);
  const again = await ask<{ data: Told[] }>('/v1/score', body);
  expect(again.data).toEqual(data);
  for (const [i, { parts, tokens }] of data.entries()) {
    const { p, rto } = tokens;
    expect(p!.map(({ token }) => token).join('')).toBe(`${ENDINGS[i]}<|endoftext|>`);
    expect(rto!.map(({ id }) => id)).toEqual(p!.map(({ id }) => id));
    for (const [id, all] of [
      ['p', p!],
      ['rto', rto!],
    ] as const)
      // prettier-ignore
      expect(all.reduce((sum, { score }) => sum + score, 0), id).toBeCloseTo(parts[id]!, 4);
    const text = [...context, ...p!.map(({ id }) => id)];
    const [told] = parsed(await choicesOf(request([text])), context.length);
    p!.forEach(({ score }, t) => expect(told!.tokens[t], `token ${t}`).toBeCloseTo(score, 2));
  }
  const plain = await ask<{ data: Told[] }>('/v1/score', { ...body, tokens: false });
  expect(plain.data.map(({ tokens }) => tokens)).toEqual([undefined, undefined]);
  expect(plain.data.map(({ score }) => score)).toEqual(data.map(({ score }) => score));
  const wrong = ask('/v1/score', {
    queries: 'a',
    documents: 'b',
    tokens: true,
    model: 'rm-happy-a',
  });
  await expect(wrong).rejects.toThrow('reward_mismatch');
});

test('a request in traffic is told the same numbers, bit for bit, guided or not', async () => {
  const guides = { alignment: { guides: [{ model: 'arm-happy', weight: 1 }], max_kl: 0.5 } };
  const long = (await idsOf(`${CONTEXT} cat. `.repeat(12), true)).slice(0, 250);
  const bodies = [{}, guides].map((more) =>
    request([long, long.slice(0, 40)], { logprobs: 3, ...more }),
  );
  const alone: Choice[][] = [];
  for (const body of bodies) alone.push(await choicesOf(body));
  const crowd = Array.from({ length: 12 }, (_, seed) =>
    choicesOf({ prompt: CONTEXT, max_tokens: 60, seed, ...(seed % 2 ? guides : {}) }),
  );
  const beside = await Promise.all([...bodies, ...bodies].map((body) => choicesOf(body)));
  await Promise.all(crowd);
  expect(beside).toEqual([...alone, ...alone]);
  expect(alone[0]![0]!.logprobs.token_logprobs).not.toEqual(alone[1]![0]!.logprobs.token_logprobs);
  expect(alone[0]![0]!.logprobs.tokens).toHaveLength(long.length + 1);
  expect(alone[0]![0]!.logprobs.token_logprobs.slice(1, 39)).toEqual(alone[0]![1]!.logprobs.token_logprobs.slice(1, 39)); // prettier-ignore
});

test('max_tokens 0, n choices and streams over SSE and WebSocket tell the same', async () => {
  const body = { prompt: CONTEXT, echo: true, logprobs: 2, max_tokens: 0, n: 2 };
  const [first, second] = await choicesOf(body);
  expect(first!.text).toBe(CONTEXT);
  expect(second!.logprobs).toEqual(first!.logprobs);
  expect(first!.logprobs.text_offset.at(-1)).toBe(CONTEXT.lastIndexOf(' a'));
  const drawn = { ...body, n: 1, max_tokens: 5, seed: 3 };
  const [whole] = await choicesOf(drawn);
  expect(whole!.logprobs.token_logprobs.slice(0, -5)).toEqual(first!.logprobs.token_logprobs);
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', ...drawn, stream: true }),
  });
  const events = (await response.text()).split('\n\n').filter((event) => event.includes('{'));
  const sse = events.map(
    (event) => (JSON.parse(event.slice(6)) as { choices: Choice[] }).choices[0]!,
  );
  await using client = await new Client(server.port).open();
  client.send({ type: 'completion.create', id: 'a', model: 'tales', ...drawn });
  await client.until((frames) => frames.some(({ type }) => type === 'done'));
  const socket = client.of('a', 'completion.chunk').map(({ data }) => data.choices[0] as Choice);
  for (const chunks of [sse, socket]) {
    expect(chunks[0]).toMatchObject({ text: CONTEXT, logprobs: first!.logprobs });
    for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset'] as const)
      expect(chunks.flatMap(({ logprobs }) => (logprobs?.[list] ?? []) as unknown[])).toEqual(whole!.logprobs[list]); // prettier-ignore
  }
});
