import { expect, test } from 'vitest';
import type { StreamEvent } from '../../../src/core/events.ts';
import { strategies } from '../../../src/strategies/index.ts';
import { fakeEngine } from '../../fakes/engine.ts';
import { Chronicle } from '../../../src/run/chronicle.ts';
import { planOf, ran, type PlanAsk } from '../../fakes/plan.ts';
import { composed, fakeReward, loaded, sumOf, use } from '../../fakes/reward.ts';

const { engine } = fakeEngine({ endBias: -100 });
const judged = sumOf(use('r'));
const of = () => composed(judged, loaded(fakeReward('r', ({ branch }) => branch)));
const CONTEXT = { maxTokens: 20, judged: true };

async function searched(type: string, fields: object, ask: PlanAsk = {}) {
  const params = strategies[type]!.parse(fields, CONTEXT);
  const plan = planOf({ strategy: type, params, reward: judged, ...ask });
  const { events, choices } = await ran(engine, plan, { rewardOf: of });
  return { events, report: choices[0]!.report! };
}

const told = (events: readonly StreamEvent[], what: string) =>
  events.flatMap((event) =>
    event.kind === 'candidate' && event.what === what ? [[event.index, event.tokens]] : [],
  );

test('who asked for it hears of each candidate: scored, pruned, selected, and nothing after the end', async () => {
  const prune = { type: 'speculative_rejection', at: [4] };
  const { events, report } = await searched('best_of_n', { n: 4, prune }, { drafts: true });
  expect(told(events, 'scored').slice(0, 4)).toEqual([
    [0, 4],
    [1, 4],
    [2, 4],
    [3, 4],
  ]);
  expect(told(events, 'pruned')).toEqual([
    [0, 4],
    [1, 4],
  ]);
  expect(told(events, 'selected')).toEqual([[3, 20]]);
  expect(events.slice(-2).map(({ kind }) => kind)).toEqual(['finish', 'end']);
  const pruned = report.candidates.filter(({ status }) => status === 'pruned');
  expect(pruned.map(({ index }) => index)).toEqual([0, 1]);
});

test('who did not ask hears of none', async () => {
  const { events } = await searched('best_of_n', { n: 4 });
  expect(events.filter(({ kind }) => kind === 'candidate' || kind === 'draft')).toEqual([]);
});

test('a search tells how it went: hypotheses, depth, how many were alive, and its own figures', async () => {
  const { report } = await searched('particles', { n: 4, every: 5, lambda: 1 });
  const { nodes, depth, alive, figures } = report.search;
  expect(nodes).toBeGreaterThanOrEqual(4);
  expect(depth).toBe(20);
  expect(alive).toHaveLength(3);
  expect(figures['ess']).toHaveLength(4);
  for (const ess of figures['ess']!) {
    expect(ess).toBeGreaterThanOrEqual(1 - 1e-9);
    expect(ess).toBeLessThanOrEqual(4 + 1e-9);
  }
  const rejection = { target: 1e6, temperature: 0.01, attempts: 3, segment: { tokens: 10 } };
  const { report: rejected } = await searched('segment_rejection', rejection);
  expect(rejected.search.figures['accepted']).toEqual([0, 0, 0, 0, 0, 0]);
});

test('what a rule without a reward gives up is reported and counted as saved too', async () => {
  const prune = { type: 'confidence', warm_up: 2, quantile: 1, min_tokens: 4, every: 4, window: 4 };
  const { report } = await searched('best_of_n', { n: 8, prune }, { top: 5 });
  const pruned = report.candidates.filter(({ status }) => status === 'pruned');
  expect(pruned.length).toBeGreaterThan(0);
  expect(pruned.every(({ score, prunedAt }) => score === null && prunedAt! % 4 === 0)).toBe(true);
  expect(report.savedTokens).toBe(pruned.reduce((sum, { prunedAt }) => sum + 20 - prunedAt!, 0));
});

test('a tree is told where it was asked for, when all is over, and so many nodes of it', () => {
  const node = { parent: 0, text: 'a', tokens: 1, value: 0, visits: 0, right: null, target: null };
  let asked = 0;
  const nodes = () => (asked++, Array.from({ length: 2000 }, (_, tokens) => ({ ...node, tokens })));
  const [quiet, loud] = [false, true].map((explain) => new Chronicle(0, { emit: null, explain }));
  for (const one of [quiet!, loud!]) one.tell(nodes);
  expect(quiet!.report).not.toHaveProperty('tree');
  expect(asked).toBe(0);
  const { tree } = loud!.report;
  expect(tree).toHaveLength(1024);
  expect(tree!.at(-1)).toMatchObject({ tokens: 1023 });
  expect(new Chronicle(0, { emit: null, explain: true }).report).not.toHaveProperty('tree');
});
