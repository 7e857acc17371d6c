import { describe, expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const planOf = (alignment: unknown, model = 'tales') =>
  parser.completion({ model, prompt: 'ab', max_tokens: 5, alignment }, ambient).plan;
const steered = (steering: unknown) => planOf({ steering }).opening.steering;

function refusal(steering: unknown, model?: string): ServeError {
  try {
    planOf({ steering }, model);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(steering)}`);
}

describe('steering', () => {
  test('is nothing by default, and whole where no scale is said', () => {
    expect(planOf({}).opening.steering).toEqual([]);
    expect(steered(null)).toEqual([]);
    expect(steered([{ vector: 'calm' }])).toEqual([{ vector: 'calm', scale: 1 }]);
  });

  test('is the same sum however it is spelled', () => {
    const calm = { vector: 'calm', scale: 1.5 };
    const bright = { vector: 'bright', scale: -1 };
    expect(steered([calm, bright])).toEqual([bright, calm]);
    expect(steered([bright, { vector: 'calm', scale: 1 }, { ...calm, scale: 0.5 }])).toEqual([
      bright,
      calm,
    ]);
    expect(steered([calm, { ...calm, scale: -1.5 }, { ...bright, scale: 0 }])).toEqual([]);
  });

  test('leaves guides their model as it is: the policy in a ratio is a lane of its own', () => {
    const guides = [{ plus: 'arm-happy', minus: 'tales' }];
    const models = (alignment: object) =>
      planOf(alignment).prompts[0]!.lanes.map(({ model }) => model);
    expect(models({ guides })).toEqual(['tales', 'arm-happy']);
    expect(models({ guides, steering: [{ vector: 'calm' }] })).toEqual([
      'tales',
      'arm-happy',
      'tales',
    ]);
  });
});

test.each([
  [7, 'alignment.steering', 'a list of 0 to 4'],
  [Array.from({ length: 5 }, () => ({ vector: 'calm' })), 'alignment.steering', 'a list of 0 to 4'],
  [[{ scale: 1 }], 'alignment.steering[0].vector', 'is missing'],
  [[{ vector: 'calm', scale: 101 }], 'alignment.steering[0].scale', 'from -100 to 100'],
  [[{ vector: 'calm', scale: '1' }], 'alignment.steering[0].scale', 'from -100 to 100'],
  [[{ vector: 'calm', weight: 1 }], 'alignment.steering[0].weight', 'known here: vector, scale'],
  [
    [{ vector: 'calm' }, { vector: 'calmer' }],
    'alignment.steering[1].vector',
    'is "calmer", not a steering vector of this server; those of tales: calm, bright',
  ],
])('%j is refused at %s', (steering, param, message) => {
  const error = refusal(steering);
  expect(error.param).toBe(param);
  expect(error.message).toContain(message);
});

test('another policy’s vector is refused with what this one needs', () => {
  expect(refusal([{ vector: 'calm' }], 'sums').message).toBe(
    'alignment.steering[0].vector is "calm", a vector of tales; sums has no steering input: import its checkpoint with --steering LAYER',
  );
  expect(refusal([{ vector: 'calm' }], 'sums-tuned').message).toContain(
    'sums-tuned has none yet: make one with coxswain steer',
  );
});
