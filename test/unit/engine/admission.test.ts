import { beforeEach, expect, test } from 'vitest';
import { Admission } from '../../../src/engine/admission.ts';
import { SlotPool } from '../../../src/engine/slots.ts';
import { fakeModel } from '../../fakes/model.ts';

const forever = new AbortController().signal;
let [policy, guide] = [pool(4), pool(2)];
let admission = new Admission(3);
beforeEach(() => {
  [policy, guide, admission] = [pool(4), pool(2), new Admission(3)];
});

function pool(rows: number): SlotPool {
  return new SlotPool(fakeModel('m'), rows, 64);
}

/** Widths in the order in which they are granted. */
function ask(
  pools: readonly SlotPool[],
  least: number,
  most = least,
  signal = forever,
): { granted: number | null; error: unknown } {
  const seen: { granted: number | null; error: unknown } = { granted: null, error: null };
  admission.enter(pools, { least, most }, signal).then(
    (width) => (seen.granted = width),
    (error: unknown) => (seen.error = error),
  );
  return seen;
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a tree gets as many branches as there is room for, between its least and its most', async () => {
  const first = ask([policy], 1, 3);
  const second = ask([policy], 1, 3);
  await settle();
  expect([first.granted, second.granted]).toEqual([3, 1]);
  expect(policy.promised).toBe(4);
});

test('every lane takes a row per branch, twice where one model reads two prompts', async () => {
  const tree = ask([policy, guide, guide], 1, 9);
  await settle();
  expect(tree.granted).toBe(1);
  expect([policy.promised, guide.promised]).toEqual([1, 2]);
});

test('who came first starts first, also if a later one would fit', async () => {
  const [a, large, small] = [ask([policy], 3), ask([policy], 4), ask([policy], 1)];
  await settle();
  expect([a.granted, large.granted, small.granted]).toEqual([3, null, null]);
  admission.leave([policy], 3);
  await settle();
  expect([large.granted, small.granted]).toEqual([4, null]);
  admission.leave([policy], 4);
  await settle();
  expect(small.granted).toBe(1);
});

test('one more than may wait is refused with queue_full', async () => {
  ask([policy], 4);
  const waiting = [1, 2, 3].map((n) => ask([policy], n));
  const refused = ask([policy], 1);
  await settle();
  expect(refused.error).toMatchObject({ code: 'queue_full' });
  expect(admission.waiting).toBe(3);
  expect(waiting.every(({ granted, error }) => granted === null && error === null)).toBe(true);
});

test('with a queue of none, whoever fits still enters', async () => {
  admission = new Admission(0);
  const [fits, waits] = [ask([policy], 4), ask([policy], 1)];
  await settle();
  expect(fits.granted).toBe(4);
  expect(waits.error).toMatchObject({ code: 'queue_full' });
});

test('a tree that can never fit is refused at once, with both numbers', async () => {
  const tree = ask([policy, guide], 3);
  await settle();
  expect(tree.error).toMatchObject({ code: 'invalid_value' });
  expect(String(tree.error)).toMatch(/3 branches.*room for 2/);
});

test('who aborts in the queue leaves it, and no longer holds up the others', async () => {
  const abort = new AbortController();
  ask([policy], 3);
  const [large, small] = [ask([policy], 2, 2, abort.signal), ask([policy], 1)];
  await settle();
  expect(small.granted).toBeNull();
  abort.abort(new Error('gone'));
  await settle();
  expect(large.error).toMatchObject({ message: 'gone' });
  expect(small.granted).toBe(1);
  expect(admission.waiting).toBe(0);
  expect(policy.promised).toBe(4);
});

test('who has aborted already does not enter', async () => {
  const tree = ask([policy], 1, 1, AbortSignal.abort(new Error('gone')));
  await settle();
  expect(tree.error).toMatchObject({ message: 'gone' });
  expect(policy.promised).toBe(0);
});

test('an abort after admission changes nothing here: the session gives its rows back', async () => {
  const abort = new AbortController();
  const [tree] = [ask([policy], 2, 2, abort.signal), ask([policy], 3)];
  await settle();
  abort.abort();
  await settle();
  expect(tree.granted).toBe(2);
  expect([policy.promised, admission.waiting]).toEqual([2, 1]);
});
