/** Value guides, from the wire to the plan. */

import { expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { catalog } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const admitted = (guides: readonly object[], more: object = {}) =>
  parser.completion({ prompt: 'ab', max_tokens: 5, alignment: { guides, ...more } }, ambient);
const refusal = (guides: readonly object[], more?: object): ServeError => {
  try {
    admitted(guides, more);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error('accepted');
};
const value = { value: 'rm-happy-a', weight: 2 };

test('a value guide is a reward on the likeliest tokens, which reads the prompt itself', () => {
  const { plan, answer } = admitted([
    { model: 'arm-happy' },
    { ...value, top_k: 7, mask: { entropy_above: 0.5 } },
    { ...value, weight: 0 },
    { model: 'arm-kind' },
  ]);
  expect(plan.values).toMatchObject([
    {
      reward: { uses: [{ source: { kind: 'model', model: 'rm-happy-a' }, weight: 1 }] },
      weight: 2,
      topK: 7,
      entropyAbove: 0.5,
    },
  ]);
  expect(plan.prompts[0]!.readings).toEqual({ 'rm-happy-a': byteCodec.prompt('ab') });
  expect(plan.opening.guidance.uses).toHaveLength(2);
  expect(answer.guideOrder).toEqual([0, 2, null, 1]);
  expect(admitted([value]).plan.values[0]).toMatchObject({ topK: 20, entropyAbove: null });
});

test('its values may be transformed by figures that do not depend on a pool', () => {
  const transform = { type: 'log_sigmoid', reference: 1 };
  const [use] = admitted([{ ...value, transform }]).plan.values;
  expect(use!.reward.uses[0]!.transform).toEqual({ kind: 'log_sigmoid', reference: 1 });
  for (const of of [{ type: 'log_sigmoid' }, { type: 'zscore' }])
    expect(refusal([{ ...value, transform: of }]).param).toBe('alignment.guides[0].transform');
  const stored = { type: 'zscore', of: 'stored' };
  expect(admitted([{ ...value, transform: stored }]).plan.values[0]!.reward.uses[0]).toMatchObject({
    scale: { mean: 1, std: 2 },
  });
});

test.each([
  [{ value: 'nope' }, {}, 'model_not_found', 'alignment.guides[0].value'],
  [{ value: 'arm-happy' }, {}, 'model_not_found', 'alignment.guides[0].value'],
  [{ value: 'rm-late' }, {}, 'reward_mismatch', 'alignment.guides[0].value'],
  [{ ...value, top_k: 65 }, {}, 'invalid_value', 'alignment.guides[0].top_k'],
  [{ ...value, top_k: 0 }, {}, 'invalid_value', 'alignment.guides[0].top_k'],
  [{ ...value, weight: 17 }, {}, 'invalid_value', 'alignment.guides[0].weight'],
  [value, { max_kl: 2 }, 'invalid_value', 'alignment.max_kl'],
])('%j with %j is refused as %s at %s', (guide, more, code, param) => {
  expect(refusal([guide], more)).toMatchObject({ code, param });
});
