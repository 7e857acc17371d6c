/** What every strategy owes its request, whatever it searches for: run these on each new one. */

import { describe, expect, test } from 'vitest';
import type { StreamEvent } from '../../src/core/events.ts';
import type { DecodeEngine } from '../../src/engine/engine.ts';
import { Gate } from '../../src/run/gate.ts';
import { strategies } from '../../src/strategies/index.ts';
import { turns } from '../fakes/drive.ts';
import { fakeEngine } from '../fakes/engine.ts';
import { planOf, ran, type PlanAsk, type Ran } from '../fakes/plan.ts';
import { sumOf, use } from '../fakes/reward.ts';

const ASKS: readonly PlanAsk[] = [
  { seed: 1 },
  { seed: 2, guides: [['kind', 1.5]], maxTokens: 30 },
  { seed: 3, prompt: [5, 4, 3], stops: ['ab', 'ba', 'zz', 'c'] },
  { seed: 4, maxTokens: 1 },
  { seed: 5, sampling: { temperature: 0 }, n: 2 },
];

/** All but times and what the prefix cache happened to hold: those are traffic's. */
function comparable({ events }: Ran): unknown[] {
  return events.map((event) =>
    event.kind === 'finish'
      ? {
          ...event,
          report: { ...event.report, queueMs: 0, prefillMs: 0, cachedTokens: 0, guideTokens: 0 },
        }
      : event,
  );
}

/** How a search in waves gets to its answer depends on its room: then only what it comes to is compared. */
const byChoice = (ran: Ran, inWaves: boolean): unknown[] => {
  if (inWaves)
    return ran.choices.map(({ report, ...choice }) => ({
      ...choice,
      report: { ...report, queueMs: 0, prefillMs: 0, cachedTokens: 0, guideTokens: 0 },
    }));
  const events = comparable(ran) as StreamEvent[];
  return ran.choices.map((_, i) => events.filter((e) => 'choice' in e && e.choice === i));
};

export function obeysStrategyLaws(strategy: string, params: unknown): void {
  const engineOf = (options: Parameters<typeof fakeEngine>[0] = {}): DecodeEngine =>
    fakeEngine({ endBias: 0.5, ...options }).engine;
  const planFor = (ask: PlanAsk): ReturnType<typeof planOf> =>
    planOf({ strategy, params, reward: sumOf(use('hash')), drafts: true, ...ask });

  describe(`${strategy} ${JSON.stringify(params)}`, () => {
    test('commits add up to the answer, and stop strings are never shown', async () => {
      for (const ask of ASKS) {
        const { choices, events, bugs } = await ran(engineOf(), planFor(ask));
        expect(bugs).toEqual([]);
        expect(events.at(-1)).toEqual({ kind: 'end', cancelled: false });
        for (const { text, draws, tokens, finish, report } of choices) {
          expect(finish).not.toBeNull();
          expect(tokens).toBe(report!.completionTokens);
          expect(draws).toHaveLength(tokens);
          const spelled = draws.map(({ token }) =>
            token === 0 ? '' : String.fromCharCode(96 + token),
          );
          expect(spelled.join('').startsWith(text)).toBe(true);
          for (const stop of ask.stops ?? []) expect(text).not.toContain(stop);
          if (finish === 'length') expect(spelled.join('')).toBe(text);
        }
      }
    });

    test('same seed, same events: again, in a crowd, in small pools', async () => {
      const alone: Ran[] = [];
      for (const ask of ASKS) alone.push(await ran(engineOf(), planFor(ask)));
      const { least, most } = strategies[strategy]!.peak(params);
      const inWaves = least < most;
      for (const options of [{}, { classes: [{ length: 256, rows: least }] }, { prefixBytes: 0 }]) {
        const engine = engineOf(options);
        const crowd = await Promise.all(ASKS.map((ask) => ran(engine, planFor(ask))));
        ASKS.forEach((_, i) =>
          expect(byChoice(crowd[i]!, inWaves)).toEqual(byChoice(alone[i]!, inWaves)),
        );
        engine.audit();
      }
    });

    test('an abort at any moment ends as cancelled and gives every slot back', async () => {
      for (const n of [0, 1, 2, 3, 5, 8, 13]) {
        const engine = engineOf({ iterationTokens: 1, endBias: -100 });
        const abort = new AbortController();
        const running = ran(engine, planFor(ASKS[1]!), { signal: abort.signal });
        await turns(n);
        abort.abort();
        await turns(1);
        engine.audit();
        expect(engine.load).toMatchObject({ running: 0, waiting: 0 });
        expect((await running).events.at(-1)).toEqual({ kind: 'end', cancelled: true });
      }
    });

    test('a reader who is behind pauses it; an abort ends it even so', async () => {
      const engine = engineOf();
      const [gate, abort] = [new Gate(), new AbortController()];
      gate.close();
      const running = ran(engine, planFor(ASKS[1]!), { gate, signal: abort.signal });
      await turns(20);
      expect(engine.stats.rows).toBe(0);
      abort.abort();
      await running;
      expect(engine.load.running).toBe(0);
    });
  });
}
