import { expect, test } from 'vitest';
import { ServeError } from '../../../src/core/errors.ts';
import { Engines } from '../../../src/engine/engines.ts';
import { fakeEngine, opening } from '../../fakes/engine.ts';
import { fakeModel } from '../../fakes/model.ts';
import { neverAborted } from '../../fakes/plan.ts';

const of = (model: string) => ({ ...opening(), lanes: [{ model, prompt: [1, 2, 3] }] });

/** `policy` with its guides in one engine, `sums` alone in another, for one tree at a time. */
function two() {
  const tales = fakeEngine();
  const models = new Map([['sums', fakeModel('sums', { endBias: -1 })]]);
  const classes = [{ length: 64, rows: 1 }];
  const sums = fakeEngine({ models, classes, queue: 1 });
  const byModel = new Map([
    ...Object.keys(tales.models).map((name) => [name, tales.engine] as const),
    ['sums', sums.engine] as const,
  ]);
  return new Engines(byModel);
}

test('a tree is decoded by the engine of its policy, and figures are those of all engines', async () => {
  const engines = two();
  const signal = neverAborted();
  {
    await using tale = await engines.open(of('policy'), signal);
    await using sum = await engines.open(of('sums'), signal);
    expect(engines.load).toEqual({ running: 2, waiting: 0, kvUsage: 1 }); // the fullest pool has one row
    await tale.extend([tale.root], { tokens: 3 });
    await sum.extend([sum.root], { tokens: 2 });
  }
  expect(engines.stats.forwards).toEqual({ policy: 2, sums: 1 }); // the first token comes from the prefill
  expect(engines.stats).toMatchObject({ iterations: 5, prefillTokens: 6 });
  expect(engines.cache.queries).toBe(2);
  expect(engines.load).toEqual({ running: 0, waiting: 0, kvUsage: 0 });
  engines.audit();
});

test('a full engine does not hold up the others', async () => {
  const engines = two();
  const signal = neverAborted();
  await using _held = await engines.open(of('sums'), signal);
  const leaving = new AbortController();
  const waiting = engines.open(of('sums'), leaving.signal);
  await expect(engines.open(of('sums'), signal)).rejects.toThrow(ServeError);
  await using tale = await engines.open(of('policy'), signal);
  await tale.extend([tale.root], { tokens: 1 });
  expect(tale.root.tokens).toHaveLength(1);
  leaving.abort(new Error('left'));
  await expect(waiting).rejects.toThrow('left');
});
