/** What every strategy owes its request, whatever it searches for: run these on each new one. */

import { describe, expect, test } from 'vitest';
import type { Branch, Token } from '../../src/core/tree.ts';
import { strategies } from '../../src/strategies/index.ts';
import { ran, type Ran } from '../fakes/plan.ts';
import { descends, rewarded } from '../fakes/rewarded.ts';
import { ACCEPTED, ASKS, WORDS, engineOf, plannerOf, sameOf, spelled } from './strategy_asks.ts';
import { endsWell } from './strategy_ends.ts';

export function obeysStrategyLaws(strategy: string, params: unknown): void {
  const planFor = plannerOf(strategy, params);

  describe(`${strategy} ${JSON.stringify(params)}`, () => {
    test('commits add up to the answer, and stop strings are never shown', async () => {
      for (const ask of ASKS) {
        const { choices, events, bugs } = await ran(rewarded(engineOf()), planFor(ask));
        expect(bugs).toEqual([]);
        expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
        for (const { text, draws, tokens, finish, report } of choices) {
          expect(finish).not.toBeNull();
          expect(tokens).toBe(report!.completionTokens);
          expect(draws).toHaveLength(tokens);
          expect(spelled(draws).startsWith(text)).toBe(true);
          for (const stop of ask.stops ?? []) expect(text).not.toContain(stop);
          if (finish === 'length') expect(spelled(draws)).toBe(text);
        }
      }
    });

    test('under a rule every answer is whole, whatever the limit and the sampling', async () => {
      for (const maxTokens of [3, 4, 9])
        for (const sampling of [
          {},
          { temperature: 0 },
          { temperature: 2, topP: 0.9, minP: 0.01 },
        ]) {
          const ask = { seed: maxTokens, maxTokens, sampling, rule: WORDS };
          const { choices, bugs } = await ran(rewarded(engineOf()), planFor(ask));
          expect(bugs).toEqual([]);
          for (const { text, finish } of choices) {
            expect(text).toMatch(ACCEPTED);
            expect(finish).toBe('stop');
          }
        }
    });

    test('same seed, same events: again, in a crowd, in small pools', async () => {
      const alone: Ran[] = [];
      for (const ask of ASKS) alone.push(await ran(rewarded(engineOf()), planFor(ask)));
      const { least, most } = strategies[strategy]!.peak(params);
      const same = sameOf(strategy, params);
      const pools = [least, most].map((rows) => ({ classes: [{ length: 256, rows }] }));
      for (const options of [{}, { prefixBytes: 0 }, { iterationTokens: 3 }, ...pools]) {
        const engine = engineOf(options);
        const crowd = await Promise.all(ASKS.map((ask) => ran(rewarded(engine), planFor(ask))));
        ASKS.forEach((_, i) => expect(same(crowd[i]!)).toEqual(same(alone[i]!)));
        engine.audit();
      }
    });

    test('survivors only shrink or fork', async () => {
      for (const ask of ASKS.filter(({ n }) => n === undefined)) {
        let before: (readonly Token[])[] = [[]];
        const onKeep = (branches: readonly Branch[]): void => {
          expect(branches.length).toBeGreaterThan(0);
          expect(new Set(branches).size).toBe(branches.length);
          for (const { tokens } of branches) expect(descends(tokens, before)).toBe(true);
          before = branches.map(({ tokens }) => [...tokens]);
        };
        const { choices } = await ran(rewarded(engineOf(), { onKeep }), planFor(ask));
        const tokens = choices[0]!.draws.map(({ token }) => token);
        expect(descends(tokens, before)).toBe(true);
      }
    });

    endsWell(strategy, params);
  });
}
