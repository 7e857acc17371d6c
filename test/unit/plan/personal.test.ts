import { expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };
const planOf = (reward: object, type = 'best_of_n') =>
  parser.completion(
    { prompt: 'ab', max_tokens: 5, alignment: { rewards: [reward], strategy: { type } } },
    ambient,
  ).plan;

function refusal(reward: object, type?: string): ServeError {
  try {
    planOf(reward, type);
  } catch (error) {
    if (error instanceof ServeError) return error;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(reward)}`);
}

test('a user is plain data of the plan, and the prompt is read by the model', () => {
  const { reward, prompts } = planOf({ personal: 'rm-yours', user: [0.5, -1], weight: 2 });
  expect(reward!.uses).toMatchObject([
    {
      id: 'rm-yours',
      weight: 2,
      source: { kind: 'personal', model: 'rm-yours', user: [0.5, -1] },
    },
  ]);
  expect(Object.keys(prompts[0]!.readings)).toEqual(['rm-yours']);
});

test.each([
  [{ personal: 'rm-yours' }, 'alignment.rewards[0].user', 'is missing'],
  [{ personal: 'rm-yours', user: [1] }, 'alignment.rewards[0].user', 'a list of 2 numbers'],
  [{ personal: 'rm-yours', user: [1, '2'] }, 'alignment.rewards[0].user[1]', 'from -1000 to 1000'],
  [{ personal: 'rm-yours', user: [1, 1001] }, 'alignment.rewards[0].user[1]', 'from -1000 to 1000'],
  [
    { personal: 'rm-late', user: [1, 2] },
    'alignment.rewards[0].personal',
    'a reward model without a latent_head; models that judge for a user here: rm-yours',
  ],
  [
    { personal: 'nobody', user: [1, 2] },
    'alignment.rewards[0].personal',
    'not a model of this server',
  ],
])('%j is refused at %s', (reward, param, message) => {
  const error = refusal(reward);
  expect(error.param).toBe(param);
  expect(error.message).toContain(message);
});

test('one that reads whole answers leads no search over unfinished ones', () => {
  const error = refusal({ personal: 'rm-yours', user: [1, 2] }, 'segment_beam');
  expect(error.code).toBe('reward_mismatch');
});
