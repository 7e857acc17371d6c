/**
 * What the importer writes beside policies and rewards, served: TRL's value head, which judges beginnings, and graphs
 * with outputs and inputs that this server has no use for.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importModel } from '../../src/importer/import.ts';
import { loadCodec } from '../../src/runtime/text/tokenizer.ts';
import { serve, type Served } from '../support/server.ts';
import { dot, frequencies } from '../unit/importer/families/arithmetic.ts';
import { llamaShapes, llamaStates, SIZES, sizeKeys } from '../unit/importer/families/llama_like.ts';
import { publish } from '../unit/importer/families/published.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...sizeKeys(SIZES),
  hidden_act: 'silu',
  rms_norm_eps: 1e-5,
};
/** A checkpoint as TRL saves it: the policy's tensors, and those of the head. */
const valued = publish(llama, {
  ...llamaShapes(SIZES),
  'v_head.summary.weight': [1, SIZES.hidden],
  'v_head.summary.bias': [1],
});
const folder = mkdtempSync(join(tmpdir(), 'coxswain-value-'));
const path = (name: string): string => join(folder, name);
let server: Served;

beforeAll(async () => {
  const common = { from: valued.folder, weights: 'float32', created: 0 } as const;
  importModel({ ...common, to: path('policy'), role: 'policy' });
  importModel({ ...common, to: path('value'), role: 'value' });
  const more = { hiddenStates: true, steering: 1 };
  importModel({ ...common, to: path('open'), role: 'policy', ...more });
  importModel({ ...common, to: path('telling'), role: 'policy', layerStates: true });
  const file = path('config.yaml');
  writeFileSync(
    file,
    `policy: policy
models:
  policy: { path: ${path('policy')}, role: policy }
  open: { path: ${path('open')}, role: policy }
  telling: { path: ${path('telling')}, role: policy }
  value: { path: ${path('value')}, role: value }
engine: { kv_bytes: 64MB, max_seq: 64 }
`,
  );
  server = await serve(['--config', file]);
}, 120_000);
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

const send = (route: string, body: object): Promise<Response> =>
  fetch(`${server.base}${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

async function post<T>(route: string, body: object): Promise<T> {
  const response = await send(route, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text) as T;
}

interface Answer {
  readonly choices: readonly { readonly text: string }[];
  readonly usage: { readonly alignment: { readonly reward_tokens: number } };
  readonly alignment: {
    readonly candidates?: readonly { readonly score: number | null; readonly status: string }[];
    readonly tokens_saved?: number;
    readonly trees?: readonly {
      readonly figures: Readonly<Record<string, readonly number[]>>;
      readonly tree?: readonly { readonly parent: number | null; readonly value: number }[];
    }[];
  };
}

const ask = (alignment: object, fields: object = {}): Promise<Answer> =>
  post('/v1/completions', { prompt: 'One day', max_tokens: 12, seed: 3, alignment, ...fields });

test('a value head scores texts as its definition says, whatever else is in the request', async () => {
  const texts = [' a fox', ' it rained', ''];
  const { data } = await post<{ data: { score: number }[] }>('/v1/score', {
    model: 'value',
    queries: 'One day',
    documents: texts,
  });
  const codec = loadCodec(path('value'));
  const definition = { epsilon: 1e-5, frequencies: frequencies(10000, 16) };
  const [weight] = valued.tensors.matrix('v_head.summary.weight');
  const [bias] = valued.tensors.vector('v_head.summary.bias');
  texts.forEach((text, i) => {
    const tokens = [...codec.prompt('One day'), ...codec.encode(text), ...codec.closing(true)];
    const last = llamaStates(valued.tensors, SIZES, definition, tokens).at(-1)!;
    expect(data[i]!.score).toBeCloseTo(dot(last, weight!) + bias!, 3);
  });
});

test.each([
  { type: 'segment_beam', width: 2, expand: 2, segment: { tokens: 4 } },
  { type: 'mcts', branch: 2, iterations: 4, segment: { tokens: 4 } },
  { type: 'particles', n: 4, every: 4 },
  { type: 'best_of_n', n: 3, prune: { type: 'value', threshold: -100, min_tokens: 4, every: 4 } },
])('it leads a search over unfinished answers: %o', async (strategy) => {
  const { alignment, usage } = await ask({ strategy, rewards: [{ model: 'value' }] });
  expect(usage.alignment.reward_tokens).toBeGreaterThan(0);
  for (const { score } of alignment.candidates ?? []) expect(Number.isFinite(score)).toBe(true);
});

test('it guides token by token: controlled decoding', async () => {
  const plain = await ask({});
  const guides = [{ value: 'value', weight: 16, top_k: 8 }];
  const steered = await ask({ guides });
  expect(steered.choices[0]!.text).not.toBe(plain.choices[0]!.text);
  expect(await ask({ guides })).toMatchObject({ choices: steered.choices });
});

test('a graph with hidden states and a steering input answers as one without', async () => {
  const [plain, open] = [await ask({}), await ask({}, { model: 'open' })];
  expect(open.choices).toEqual(plain.choices);
});

describe('a graph that tells the states of its layers', () => {
  const strategy = { type: 'best_of_n', n: 4, prune: { type: 'self_truncation' } };

  test('answers as one that does not, guides and judges as one, and leaves all answers but one early', async () => {
    expect((await ask({}, { model: 'telling' })).choices).toEqual((await ask({})).choices);
    const guides = [{ model: 'policy', weight: 0.5 }];
    const rewards = [{ likelihood: 'telling' }];
    const judged = { strategy: { type: 'best_of_n', n: 2 }, guides, rewards };
    const { alignment } = await ask(judged, { model: 'telling' });
    expect(alignment.candidates!.every(({ score }) => Number.isFinite(score))).toBe(true);
    const long = { model: 'telling', max_tokens: 40 };
    const pruned = await ask({ strategy, explain: true }, long);
    expect(pruned.alignment.candidates!.map(({ status }) => status).toSorted()).toEqual([
      'pruned',
      'pruned',
      'pruned',
      'selected',
    ]);
    expect(pruned.alignment.tokens_saved).toBeGreaterThan(0);
    expect(pruned.alignment.trees![0]!.figures['apart']).toHaveLength(1);
    expect((await ask({ strategy }, long)).choices[0]!.text).toBe(pruned.choices[0]!.text);
  });

  test('is needed for it: another policy is refused by the path of the rule', async () => {
    const response = await send('/v1/completions', {
      prompt: 'One day',
      alignment: { strategy },
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: {
        code: 'invalid_value',
        param: 'alignment.strategy.prune.type',
        message: expect.stringContaining('import --layer-states'),
      },
    });
  });
});

test('mcts tells its tree to who explains', async () => {
  const strategy = { type: 'mcts', branch: 2, iterations: 4, segment: { tokens: 4 }, end_gate: 9 };
  const rewards = [{ model: 'value' }];
  const { alignment } = await ask({ strategy, rewards, explain: true });
  const [root, ...others] = alignment.trees![0]!.tree!;
  expect(root!.parent).toBeNull();
  expect(others.length).toBeGreaterThan(1);
  expect(others.every(({ value }) => Number.isFinite(value))).toBe(true);
});
