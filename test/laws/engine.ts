/** What every engine owes its requests: the same answer in any company, and every slot back whatever happens. */

import { expect } from 'vitest';
import type { Opening } from '../../src/core/engine.ts';
import type { DecodeEngine, EngineOptions } from '../../src/engine/engine.ts';
import { advance, answer, turns, within, type Answer } from '../fakes/drive.ts';

export type MakeEngine = (options?: Partial<EngineOptions>) => DecodeEngine;

/** Same seed, same tokens and exact log-probs: alone, in a crowd, whatever the engine's own sizes. */
export async function sameSeedSameAnswer(
  make: MakeEngine,
  openings: readonly Opening[],
  variants: readonly Partial<EngineOptions>[],
): Promise<void> {
  const alone: Answer[] = [];
  for (const opening of openings) alone.push(await answer(make(), opening));
  for (const variant of variants) {
    const engine = make(variant);
    const crowd = openings.map((opening, i) => answer(engine, opening, { chunk: 1 + (i % 5) }));
    const answers = await Promise.all(crowd);
    openings.forEach((_, i) => expect(answers[i], `request ${i}`).toEqual(alone[i]));
    engine.audit();
    expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
  }
}

/**
 * Aborts `victim` after every number of iterations up to its end: its slots are back one turn later, and the
 * neighbours answer as if it had never been there.
 */
export async function anAbortFreesAndDisturbsNobody(
  make: MakeEngine,
  victim: Opening,
  neighbours: readonly Opening[],
  after: readonly number[],
): Promise<void> {
  const undisturbed = await Promise.all(neighbours.map((opening) => answer(make(), opening)));
  for (const n of after) {
    const engine = make();
    const abort = new AbortController();
    const before = neighbours.slice(0, 1).map((opening) => answer(engine, opening));
    const gone = answer(engine, victim, { signal: abort.signal, chunk: 3 }).catch(
      (error: unknown) => error,
    );
    const beside = neighbours.slice(1).map((opening) => answer(engine, opening));
    await turns(n);
    abort.abort(new Error('gone'));
    await turns(1);
    const { running, waiting } = engine.load;
    expect(running + waiting, `trees after ${n}`).toBeLessThanOrEqual(neighbours.length);
    expect(await Promise.race([gone, Promise.resolve('still there')])).not.toBe('still there');
    expect(await Promise.all([...before, ...beside]), `abort after ${n}`).toEqual(undisturbed);
    engine.audit();
    expect(engine.load.running).toBe(0);
  }
}

/** A search that throws in the middle gives everything back. */
export async function anErrorFrees(engine: DecodeEngine, opening: Opening): Promise<void> {
  const failing = within(engine, opening, async (session) => {
    const all = session.fork(session.root, session.width);
    await advance(session, all, 2);
    throw new Error('a strategy failed');
  });
  await expect(failing).rejects.toThrow('a strategy failed');
  engine.audit();
  expect(engine.load).toEqual({ running: 0, waiting: 0, kvUsage: 0 });
}
