/** What every strategy owes its request, whatever it searches for: run these on each new one. */

import { describe, expect, test } from 'vitest';
import type { StreamEvent } from '../../src/core/events.ts';
import type { Branch, Draw, Token } from '../../src/core/tree.ts';
import type { DecodeEngine } from '../../src/engine/engine.ts';
import { Gate } from '../../src/run/gate.ts';
import { strategies } from '../../src/strategies/index.ts';
import { turns } from '../fakes/drive.ts';
import { fakeEngine } from '../fakes/engine.ts';
import { planOf, ran, type Choice, type PlanAsk, type Ran } from '../fakes/plan.ts';
import { fakeVocabulary } from '../fakes/model.ts';
import { ruleFor } from '../fakes/rule.ts';
import { sumOf, use } from '../fakes/reward.ts';
import { descends, rewarded } from '../fakes/rewarded.ts';

/** Answers in the fakes' letters, of at least three tokens. */
const WORDS = ruleFor(fakeVocabulary(27), { kind: 'regex', regex: '(ab|cd[e-h]|z)+f' });
const ACCEPTED = /^(ab|cd[e-h]|z)+f$/;

const ASKS: readonly PlanAsk[] = [
  { seed: 1 },
  { seed: 2, guides: [['kind', 1.5]], maxTokens: 30 },
  { seed: 3, prompt: [5, 4, 3], stops: ['ab', 'ba', 'zz', 'c'] },
  { seed: 4, maxTokens: 1 },
  { seed: 5, sampling: { temperature: 0 }, n: 2 },
  { seed: 6, guides: [['bold', 0.5]], maxTokens: 12, rule: WORDS },
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

const byChoice = (ran: Ran): unknown[] => {
  const events = comparable(ran) as StreamEvent[];
  return ran.choices.map((_, i) => events.filter((e) => 'choice' in e && e.choice === i));
};

const spelled = (draws: readonly Draw[]): string =>
  draws.map(({ token }) => (token === 0 ? '' : String.fromCharCode(96 + token))).join('');

/** What a run came to, however many branches moved at once. */
const outcomes = ({ choices }: Ran): unknown[] =>
  choices.map((choice) => ({
    ...choice,
    report: {
      ...choice.report,
      queueMs: 0,
      prefillMs: 0,
      cachedTokens: 0,
      guideTokens: 0,
      search: null,
    },
  }));

export function obeysStrategyLaws(strategy: string, params: unknown): void {
  const engineOf = (options: Parameters<typeof fakeEngine>[0] = {}): DecodeEngine =>
    fakeEngine({ endBias: 0.5, ...options }).engine;
  const planFor = (ask: PlanAsk): ReturnType<typeof planOf> =>
    planOf({ strategy, params, reward: sumOf(use('hash')), drafts: true, ...ask });

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
      const same = least === most ? byChoice : outcomes; // in waves, traffic shows in when, not in what
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

    test('an error in any phase fails the request alone and gives every slot back', async () => {
      const { events } = await ran(rewarded(engineOf()), planFor(ASKS[0]!));
      for (const at of [0, 1, 2, 3, 5, 8, 13, 21, 34]) {
        const engine = engineOf();
        const broken = new Error('a phase failed');
        let failed = false;
        const onCall = (n: number): void => {
          if (n === at) {
            failed = true;
            throw broken;
          }
        };
        const beside = ran(rewarded(engine), planFor(ASKS[0]!));
        const { events: ended, bugs } = await ran(rewarded(engine, { onCall }), planFor(ASKS[1]!));
        if (failed) expect(bugs).toEqual([broken]);
        expect(ended.at(-1)!.kind).toBe(failed ? 'failed' : 'end');
        expect(comparable(await beside)).toEqual(comparable({ events, choices: [], bugs: [] }));
        engine.audit();
        expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
      }
    });

    test('an abort at any moment ends as cancelled and gives every slot back', async () => {
      for (const n of [0, 1, 2, 3, 5, 8, 13]) {
        const engine = engineOf({ iterationTokens: 1, endBias: -100 });
        const abort = new AbortController();
        const running = ran(rewarded(engine), planFor(ASKS[1]!), { signal: abort.signal });
        await turns(n);
        abort.abort();
        await turns(1);
        engine.audit();
        expect(engine.load).toMatchObject({ running: 0, waiting: 0 });
        expect((await running).events.at(-1)).toMatchObject({ kind: 'end', cancelled: true });
      }
    });

    test('a budget of tokens is kept, and its end is the same in a crowd', async () => {
      const [ask, other] = [{ ...ASKS[1]!, stops: ['ab', 'ba', 'c'] }, ASKS[0]!];
      const peak = strategies[strategy]!.peak(params);
      let ended = 0;
      for (const budget of [1, 2, 5, 13, 34]) {
        const plan = { ...ask, budget };
        const alone = await ran(rewarded(engineOf()), planFor(plan));
        const [{ text, tokens, draws, finish, report }] = alone.choices as [Choice];
        expect(alone.bugs).toEqual([]);
        expect(alone.events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
        expect(report!.generatedTokens).toBeLessThanOrEqual(budget);
        expect([tokens, draws.length]).toEqual([report!.completionTokens, tokens]);
        if (budget >= peak.least) expect(report!.completionTokens).toBeGreaterThan(0);
        expect(spelled(draws).startsWith(text)).toBe(true);
        if (finish === 'length') expect(spelled(draws)).toBe(text);
        if (report!.exhausted !== null) {
          expect(report!.exhausted).toBe('tokens');
          ended++;
        }
        const engine = engineOf({ iterationTokens: 3, prefixBytes: 0 });
        const [crowded] = await Promise.all(
          [plan, other, other].map((one) => ran(rewarded(engine), planFor(one))),
        );
        expect(outcomes(crowded!)).toEqual(outcomes(alone));
        engine.audit();
        expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
      }
      expect(ended).toBeGreaterThan(0);
    });

    test('time that ends in any phase ends it with the best so far, and every slot comes back', async () => {
      let ended = 0;
      for (const n of [0, 1, 2, 3, 5, 8, 13, 21]) {
        const engine = engineOf({ iterationTokens: 2, endBias: -100 });
        let ring = (): void => undefined;
        const after = (_: number, call: () => void) => ((ring = call), () => undefined);
        const plan = planFor({ ...ASKS[1]!, budgetMs: 100 });
        const running = ran(rewarded(engine), plan, { after });
        await turns(n);
        ring();
        const { events, choices, bugs } = await running;
        engine.audit();
        expect(engine.load).toMatchObject({ running: 0, waiting: 0 });
        expect(bugs).toEqual([]);
        expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: false });
        const [{ text, draws, finish, report }] = choices as [Choice];
        expect(finish).not.toBeNull();
        expect(spelled(draws)).toBe(text);
        expect(draws).toHaveLength(report!.completionTokens);
        if (report!.exhausted !== null) {
          expect([report!.exhausted, finish]).toEqual(['ms', 'length']);
          ended++;
        }
      }
      expect(ended).toBeGreaterThan(0);
    });

    test('time that ends in the queue answers with nothing, marked', async () => {
      const { least: rows } = strategies[strategy]!.peak(params);
      const engine = engineOf({ classes: [{ length: 256, rows }], endBias: -100 });
      const first = ran(rewarded(engine), planFor(ASKS[0]!));
      const after = (_: number, call: () => void) => (setImmediate(call), () => undefined);
      const late = await ran(rewarded(engine), planFor({ ...ASKS[0]!, budgetMs: 1 }), { after });
      expect(late.choices[0]).toMatchObject({ text: '', finish: 'length' });
      expect(late.choices[0]!.report).toMatchObject({ exhausted: 'ms', generatedTokens: 0 });
      await first;
      engine.audit();
    });

    test('a reader who is behind pauses it; an abort ends it even so', async () => {
      const engine = engineOf();
      const [gate, abort] = [new Gate(), new AbortController()];
      gate.close();
      const running = ran(rewarded(engine), planFor(ASKS[1]!), { gate, signal: abort.signal });
      await turns(20);
      expect(engine.stats.rows).toBe(0);
      abort.abort();
      await running;
      expect(engine.load.running).toBe(0);
    });
  });
}
