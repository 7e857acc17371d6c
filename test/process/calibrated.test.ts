/** `prune: calibrated` with what the default pack stores: it keeps to a schedule within the loss, and tells where there is none. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { linesOf } from '../evaluate/asked.ts';
import { serve, type Served } from '../support/server.ts';

let server: Served;
beforeAll(async () => {
  server = await serve();
}, 120_000);
afterAll(async () => void (await server.stop()));

interface Answer {
  readonly usage: { readonly alignment: { readonly generated_tokens: number } };
  readonly alignment: {
    readonly candidates: readonly { readonly status: string; readonly pruned_at?: number }[];
    readonly pruning: {
      readonly alphas?: readonly { readonly at: number }[];
      readonly most?: number;
      readonly refused: string | null;
    };
  };
}

async function bestOf16(fields: object): Promise<Answer> {
  const [{ prompt }] = linesOf<{ prompt: string }>('../data/prompts.jsonl', 1) as [
    { prompt: string },
  ];
  const strategy = { type: 'best_of_n', n: 16, ...fields };
  const alignment = { strategy, rewards: [{ model: 'rm-happy-a' }] };
  const response = await fetch(`${server.base}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tales', prompt, seed: 1, max_tokens: 160, alignment }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Answer;
}

test('answers are given up by the schedule that was measured', async () => {
  const whole = await bestOf16({});
  const { alignment, usage } = await bestOf16({ prune: { type: 'calibrated', loss: 0.05 } });
  expect(alignment.pruning).toMatchObject({ n: 16, refused: null });
  expect(alignment.pruning.most).toBeLessThanOrEqual(0.05);
  const pruned = alignment.candidates.filter(({ status }) => status === 'pruned');
  expect(pruned.length).toBeGreaterThan(0);
  const points = alignment.pruning.alphas!.map(({ at }) => at);
  for (const { pruned_at: at } of pruned) expect(points).toContain(at);
  expect(usage.alignment.generated_tokens).toBeLessThan(whole.usage.alignment.generated_tokens);
  expect(alignment.candidates.filter(({ status }) => status === 'selected')).toHaveLength(1);
});

test('where all may lose more, nobody is, and the response says why', async () => {
  const { alignment } = await bestOf16({ prune: { type: 'calibrated', loss: 0.0001 } });
  expect(alignment.pruning).toEqual({ refused: expect.stringContaining('0.0001 is allowed') });
  expect(alignment.candidates.filter(({ status }) => status === 'pruned')).toHaveLength(0);
});
