import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { sequence, SlotPool, type Slot } from '../../../src/engine/slots.ts';
import { fakeModel } from '../../fakes/model.ts';

const ROWS = 6;
let pool: SlotPool;
beforeEach(() => {
  pool = new SlotPool(fakeModel('m'), ROWS, 64);
});

/** Fills a slot with tokens of its own; returns what a model says after them. */
function fill(slot: Slot, tokens: readonly number[]): void {
  pool.rows.prefill(slot.row, tokens, slot.cached);
  slot.cached += tokens.length;
}

/** What the row says is next, without changing it: two more tokens into a copy. */
function fingerprint(slot: Slot): string {
  const block = pool.rows.save(slot.row, slot.cached);
  const probe = fakeModel('m').open(1, 64);
  probe.load(0, block, slot.cached);
  return probe.prefill(0, [1, 2], slot.cached).join();
}

test('a slot that admission did not promise cannot be taken', () => {
  expect(() => pool.take()).toThrow('did not promise');
  pool.promise(1);
  pool.take();
  expect(() => pool.take()).toThrow('did not promise');
});

test('a fork holds what its parent held, and goes its own way', () => {
  pool.promise(2);
  const parent = pool.take();
  fill(parent, [3, 4, 5]);
  const twin = pool.fork(parent);
  expect(fingerprint(twin)).toBe(fingerprint(parent));
  const before = fingerprint(parent);
  fill(twin, [9, 9]);
  expect(fingerprint(parent)).toBe(before);
});

test('a slot released twice is refused, and the others keep their rows', () => {
  pool.promise(3);
  const [a, b, c] = [pool.take(), pool.take(), pool.take()];
  pool.release(b);
  expect(() => pool.release(b)).toThrow('released twice');
  expect([a, c].map(({ row }) => row).toSorted()).toEqual([0, 1]);
  expect(pool.used).toBe(2);
  pool.audit();
});

test('gathering brings exactly the wanted slots to the wanted rows', () => {
  pool.promise(5);
  const slots = Array.from({ length: 5 }, () => pool.take());
  pool.gather([slots[4]!, slots[1]!], 0);
  expect([slots[4]!.row, slots[1]!.row].toSorted()).toEqual([0, 1]);
  pool.gather([slots[4]!, slots[0]!], 3);
  expect([slots[4]!.row, slots[0]!.row].toSorted()).toEqual([3, 4]);
  pool.audit();
});

type Act =
  | { readonly kind: 'take' }
  | { readonly kind: 'fill' | 'fork' | 'release'; readonly which: number }
  | { readonly kind: 'gather'; readonly which: readonly number[]; readonly end: boolean };

const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ kind: fc.constant('take' as const) }),
  fc.record({
    kind: fc.constantFrom('fill' as const, 'fork' as const, 'release' as const),
    which: fc.nat(ROWS - 1),
  }),
  fc.record({
    kind: fc.constant('gather' as const),
    which: fc.uniqueArray(fc.nat(ROWS - 1), { minLength: 1, maxLength: ROWS }),
    end: fc.boolean(),
  }),
);

test('whatever is taken, forked, moved and released, every slot keeps its own positions', () => {
  fc.assert(
    fc.property(fc.array(act, { minLength: 30, maxLength: 60 }), (acts) => {
      pool = new SlotPool(fakeModel('m'), ROWS, 256);
      pool.promise(ROWS);
      const held = new Map<Slot, string>();
      let next = 1;
      for (let i = 0; i < 4; i++) {
        const slot = pool.take();
        fill(slot, [i + 1, i + 2, i + 3]);
        held.set(slot, fingerprint(slot));
      }
      for (const a of acts) {
        apply(a, held, () => (next = (next % 20) + 1));
        pool.audit();
        expect(pool.used).toBe(held.size);
        for (const [slot, print] of held) expect(fingerprint(slot)).toBe(print);
      }
    }),
    { numRuns: 100 },
  );
});

function apply(a: Act, held: Map<Slot, string>, token: () => number): void {
  const slots = [...held.keys()];
  if (a.kind === 'take') {
    if (held.size === ROWS) return;
    const slot = pool.take();
    held.set(slot, fingerprint(slot));
  } else if (a.kind === 'gather') {
    const wanted = a.which.flatMap((i) => slots[i] ?? []);
    pool.gather(wanted, a.end ? pool.used - wanted.length : 0);
  } else {
    const slot = slots[a.which];
    if (slot === undefined) return;
    if (a.kind === 'fill') {
      fill(slot, [token(), token()]);
      held.set(slot, fingerprint(slot));
    } else if (a.kind === 'fork' && held.size < ROWS) held.set(pool.fork(slot), held.get(slot)!);
    else if (a.kind === 'release') {
      pool.release(slot);
      held.delete(slot);
    }
  }
}

test('a sequence is the prompt, then what was generated', () => {
  expect(sequence([1, 2, 3], [4, 5], 0, 5)).toEqual([1, 2, 3, 4, 5]);
  expect(sequence([1, 2, 3], [4, 5], 2, 4)).toEqual([3, 4]);
  expect(sequence([1, 2, 3], [4, 5], 4, 5)).toEqual([5]);
});
