/** However a search ends, by an error, an abort, a budget or a reader who is gone: it ends well, and others do not notice. */

import { expect, test } from 'vitest';
import type { Candidate, Score } from '../../src/core/reward.ts';
import { Gate } from '../../src/run/gate.ts';
import { strategies } from '../../src/strategies/index.ts';
import { turns } from '../fakes/drive.ts';
import { ran, type Choice, type Ran } from '../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../fakes/reward.ts';
import { rewarded, type Watch } from '../fakes/rewarded.ts';
import {
  ASKS,
  LONG,
  comparable,
  engineOf,
  outcomes,
  plannerOf,
  sameOf,
  spelled,
} from './strategy_asks.ts';

export function endsWell(strategy: string, params: unknown): void {
  const planFor = plannerOf(strategy, params);
  const same = sameOf(strategy, params);

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

  test('an abort in each phase ends it as cancelled, gives every slot back and disturbs nobody', async () => {
    const [ask, other] = [
      { ...ASKS[1]!, prompt: LONG },
      { ...ASKS[0]!, prompt: LONG.slice(9) },
    ];
    const phases = new Set<string>();
    const counting = (_: number, name: string): void => void phases.add(name);
    await ran(rewarded(engineOf(), { onCall: counting }), planFor(ask));
    const alone = same(await ran(rewarded(engineOf()), planFor(other)));
    const aborted = async (watchOf: (abort: () => void) => Watch): Promise<void> => {
      const engine = engineOf();
      const abort = new AbortController();
      const watch = watchOf(() => abort.abort());
      const { signal } = abort;
      const beside = ran(rewarded(engine), planFor(other));
      const { events, bugs } = await ran(rewarded(engine, watch), planFor(ask), { signal });
      expect(bugs).toEqual([]);
      expect(events.at(-1)).toMatchObject({ kind: 'end', cancelled: signal.aborted });
      expect(same(await beside)).toEqual(alone);
      engine.audit();
      expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
    };
    for (const phase of phases)
      // before the first call of each kind, and before later ones
      for (const at of [0, 3]) {
        let n = 0;
        await aborted((abort) => ({
          onCall: (_, name) => void (name === phase && n++ === at && abort()),
        }));
      }
    for (const at of [0, 2]) {
      let n = 0; // while branches are given up
      await aborted((abort) => ({ onKeep: () => void (n++ === at && abort()) }));
    }
    // While it waits for room, and while its prompt is read, a part in each turn.
    const { least: rows } = strategies[strategy]!.peak(params);
    for (const [holds, turnsBefore] of [
      [true, 2],
      [false, 1],
      [false, 2],
    ] as const) {
      const engine = engineOf({ classes: [{ length: 256, rows }], iterationTokens: 8 });
      const first = holds ? ran(rewarded(engine), planFor(other)) : null;
      const abort = new AbortController();
      const { signal } = abort;
      const running = ran(rewarded(engine), planFor(ask), { signal });
      await turns(turnsBefore);
      if (holds) expect(engine.load.waiting).toBe(1);
      else expect(engine.stats).toMatchObject({ rows: 0 });
      abort.abort();
      expect((await running).events.at(-1)).toMatchObject({ kind: 'end', cancelled: true });
      if (first !== null) expect(same(await first)).toEqual(alone);
      engine.audit();
      expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
    }
  });

  test('a reward that fails ends its own request, and no other', async () => {
    const reward = sumOf(use('hash'));
    const broken = new Error('the reward is gone');
    const gone = { name: 'hash', reads: 'prefix', score: () => Promise.reject(broken) } as const;
    const rewardOf = () => composed(reward, loaded(gone));
    const alone = same(await ran(rewarded(engineOf()), planFor(ASKS[0]!)));
    const engine = engineOf();
    const beside = ran(rewarded(engine), planFor(ASKS[0]!));
    const { events, bugs } = await ran(rewarded(engine), planFor(ASKS[1]!), { rewardOf });
    const asked = bugs.length > 0;
    expect(events.at(-1)).toMatchObject(
      asked ? { kind: 'failed', failure: { code: 'reward_failed' } } : { kind: 'end' },
    );
    expect(asked || strategies[strategy]!.needs(params) === 'nothing').toBe(true);
    expect(same(await beside)).toEqual(alone);
    engine.audit();
    expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
  });

  test('a reward that can judge nothing at all fails whoever asks it', async () => {
    const blind = fakeReward('hash', () => NaN);
    const rewardOf = () => composed(sumOf(use('hash')), loaded(blind));
    for (const ask of ASKS) {
      const engine = engineOf();
      const { events, bugs } = await ran(rewarded(engine), planFor(ask), { rewardOf });
      expect(bugs).toEqual([]);
      expect(events.at(-1)).toMatchObject(
        strategies[strategy]!.needs(params) === 'nothing'
          ? { kind: 'end', cancelled: false }
          : { kind: 'failed', failure: { code: 'reward_failed' } },
      );
      engine.audit();
      expect(engine.load).toMatchObject({ running: 0, waiting: 0, kvUsage: 0 });
    }
  });

  test('a step at which nobody can be judged fails nobody, and is the same in a crowd', async () => {
    const seeing = fakeReward('hash');
    for (const step of [1, 2, 3, 4, 6, 8, 9]) {
      const blind = ({ complete, tokens }: Candidate): boolean =>
        !complete && tokens.length === step;
      const score = async (batch: readonly Candidate[]): Promise<readonly Score[]> =>
        (await seeing.score(batch)).map((one, i) =>
          blind(batch[i]!) ? { ...one, value: NaN } : one,
        );
      const rewardOf = () => composed(sumOf(use('hash')), loaded({ ...seeing, score }));
      const asks = ASKS.slice(1, 3);
      const alone: Ran[] = [];
      for (const ask of asks)
        alone.push(await ran(rewarded(engineOf()), planFor(ask), { rewardOf }));
      const engine = engineOf({ iterationTokens: 3 });
      const crowd = await Promise.all(
        asks.map((ask) => ran(rewarded(engine), planFor(ask), { rewardOf })),
      );
      for (const [i, { events, choices, bugs }] of alone.entries()) {
        expect(bugs).toEqual([]);
        expect(events.at(-1), `step ${step}`).toMatchObject({ kind: 'end', cancelled: false });
        expect(choices[0]!.finish).not.toBeNull();
        expect(same(crowd[i]!)).toEqual(same(alone[i]!));
      }
      engine.audit();
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
}
