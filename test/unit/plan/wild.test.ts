/** Whatever JSON a client sends, parsing gives a Plan within its bounds or a ServeError; nothing else. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { ANYTHING } from '../../../src/plan/grant.ts';
import { planner } from '../../../src/plan/parse.ts';
import { catalog, limits } from '../../fakes/catalog.ts';

const parser = planner(catalog);
const ambient = { id: 'x', seed: 7, grant: ANYTHING, socket: false, request: 'req_1' };

const numbers = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(0, -0, 1, 2, -1, 1e308, 2 ** 53, 2 ** 31, Infinity, -Infinity, Number.NaN),
);
const text = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40, minLength: 1 }) },
  fc.constantFrom('tales', 'arm-happy', '\ud800', '', '__proto__', '<|endoftext|>'),
);
const wild = fc.oneof(
  numbers,
  text,
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue({ maxDepth: 3 }),
);
const half = <T>(likely: fc.Arbitrary<T>) => fc.oneof({ weight: 30, arbitrary: likely }, wild);

const guide = fc.record(
  {
    model: half(fc.constantFrom('arm-happy', 'arm-kind', 'tales')),
    weight: half(fc.double({ min: -16, max: 16, noNaN: true })),
    prompt: half(fc.record({ text })),
    mask: half(fc.constant('all')),
  },
  { requiredKeys: ['model'] },
);
const ratio = fc.record({
  plus: half(fc.constantFrom('arm-happy', 'tales')),
  minus: half(fc.constantFrom('arm-kind', 'tales')),
  weight: half(fc.double({ min: -16, max: 16, noNaN: true })),
});
const alignment = fc.record(
  {
    guides: half(fc.array(fc.oneof(guide, ratio), { maxLength: 2 })),
    combine: half(fc.constantFrom('sum', 'mean')),
    max_kl: half(fc.double({ min: 0, max: 10, noNaN: true })),
    plausibility: half(fc.double({ min: 0, max: 1, noNaN: true })),
    steering: half(
      fc.array(
        fc.record(
          {
            vector: half(fc.constantFrom('calm', 'bright')),
            scale: half(fc.double({ min: -100, max: 100, noNaN: true })),
          },
          { requiredKeys: ['vector'] },
        ),
        { maxLength: 3 },
      ),
    ),
    strategy: half(fc.record({ type: half(fc.constantFrom('sample', 'sample', 'beam')) })),
    explain: half(fc.boolean()),
  },
  { requiredKeys: [] },
);
const body = fc.record(
  {
    model: half(fc.constantFrom('tales', 'tales:happy')),
    prompt: half(fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.array(fc.nat(270)))),
    messages: half(
      fc.array(fc.record({ role: half(fc.constantFrom('user', 'system')), content: half(text) }), {
        maxLength: 4,
      }),
    ),
    max_tokens: half(fc.integer({ min: 1, max: 500 })),
    n: half(fc.integer({ min: 1, max: 20 })),
    temperature: half(fc.double({ min: 0, max: 2, noNaN: true })),
    top_k: half(fc.integer({ min: -1, max: 300 })),
    seed: half(fc.maxSafeInteger()),
    stop: half(fc.array(text, { maxLength: 2 })),
    logit_bias: half(
      fc.dictionary(fc.nat(270).map(String), fc.integer({ min: -101, max: 101 }), { maxKeys: 3 }),
    ),
    logprobs: half(fc.nat(22)),
    stream: half(fc.boolean()),
    alignment: half(alignment),
  },
  { requiredKeys: [] },
);

for (const endpoint of ['chat', 'completion'] as const)
  test(`${endpoint}: any body gives a bounded plan or a client error`, () => {
    let plans = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 20, arbitrary: body }, wild), (raw) => {
        try {
          const { plan } = parser[endpoint](raw, ambient);
          const { maxTokens, sampling, guidance } = plan.opening;
          plans++;
          expect(plan.n * plan.prompts.length).toBeLessThanOrEqual(limits.branches);
          expect(plan.n * plan.prompts.length * maxTokens).toBeLessThanOrEqual(limits.tokens);
          expect(maxTokens).toBeGreaterThanOrEqual(1);
          for (const { lanes } of plan.prompts)
            for (const { prompt } of lanes)
              expect(prompt.length + maxTokens).toBeLessThanOrEqual(catalog.maxLength);
          for (const use of guidance.uses) expect(Math.abs(use.weight)).toBeLessThanOrEqual(16);
          expect(Number.isFinite(sampling.temperature)).toBe(true);
          expect(structuredClone(plan)).toEqual(plan);
        } catch (error) {
          expect(error).toBeInstanceOf(ServeError);
          expect((error as ServeError).status).toBeLessThan(500);
          expect((error as ServeError).message.length).toBeLessThan(500);
        }
      }),
      { numRuns: 3000 },
    );
    expect(plans).toBeGreaterThan(20);
  });
