/** What docs/papers.md and docs/strategies.md show, sent to the default pack. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve, type Served } from '../support/server.ts';

const read = (page: string): string =>
  readFileSync(join(import.meta.dirname, '../../docs', page), 'utf8');
const shown = [...read('papers.md').matchAll(/^\| (.*?) \|.*\| `(\{.*\})` *\|$/gm)].map(
  ([, paper = '', alignment = '']): [string, string] => [
    paper.trim(),
    alignment.replaceAll('\\|', '|'),
  ],
);

const strategies = [...read('strategies.md').matchAll(/^```json\n(\{\s*"type".*?)^```/gms)].map(
  ([, strategy = '']) => strategy.replaceAll(/\s+/g, ' ').trim(),
);

let server: Served;
beforeAll(async () => void (server = await serve()));
afterAll(() => server.stop());

test('the pages show requests', () => {
  expect(shown.length).toBeGreaterThan(40);
  expect(strategies.length).toBeGreaterThan(8);
});

async function answered(alignment: object): Promise<Answer> {
  const arithmetic = /arith|number/.test(JSON.stringify(alignment));
  const body = {
    model: arithmetic ? 'arith' : 'tales',
    prompt: arithmetic
      ? 'Sam has 17 cups, buys 5, doubles. How many cups?'
      : 'Once upon a time, there was a small girl named Sara.',
    max_tokens: 40,
    seed: 2,
    alignment,
  };
  const response = await fetch(`http://127.0.0.1:${server.port}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Answer;
}

test.each(shown)('%s: %s', async (_, alignment) => {
  const asked = JSON.parse(alignment) as Asked;
  const answer = await answered(asked);
  expect(answer.error).toBeUndefined();
  expect(answer.choices[0]!.text.length).toBeGreaterThan(0);
  expect(answer.alignment.failed_rewards ?? []).toEqual([]);
  if ('rewards' in asked)
    expect(answer.alignment.candidates.some(({ score }) => Number.isFinite(score))).toBe(true);
  if ('guides' in asked) expect(answer.alignment.kl).not.toBeNull();
  if (asked.explain && (asked.rewards?.length ?? 0) > 1)
    expect(Math.abs(answer.alignment.trees![0]!.agreement![0]!.kendall)).toBeLessThanOrEqual(1);
});

test.each(strategies)('%s', async (text) => {
  const strategy = JSON.parse(text) as { readonly type: string };
  if (text.includes('self_truncation')) {
    // No policy of the pack tells the states of its layers.
    const { error } = await answered({ strategy });
    expect(error?.message).toContain('--layer-states');
    return;
  }
  const { error, choices } = await answered({ strategy, rewards: [{ model: 'rm-happy-a' }] });
  expect(error).toBeUndefined();
  expect(choices[0]!.text.length).toBeGreaterThan(0);
});

interface Asked {
  readonly rewards?: readonly object[];
  readonly explain?: boolean;
}

interface Answer {
  readonly error?: { readonly message: string };
  readonly choices: readonly { readonly text: string }[];
  readonly alignment: {
    readonly kl: object | null;
    readonly failed_rewards?: readonly string[];
    readonly trees?: readonly { readonly agreement?: readonly { readonly kendall: number }[] }[];
    readonly candidates: readonly { readonly score: number | null }[];
  };
}
