import { expect, test } from 'vitest';
import { Caller } from '../../src/api/callers/allowance.ts';
import { ANYTHING } from '../../src/plan/grant.ts';

/** A caller with a clock of its own. */
function limited(tokensPerMinute: number, concurrency = Infinity) {
  const clock = { ms: 0 };
  const terms = { name: 'a', grant: ANYTHING, tokensPerMinute, concurrency };
  const caller = new Caller(terms, () => clock.ms);
  const remaining = () => Number(caller.headers['x-ratelimit-remaining-tokens']);
  return { caller, clock, remaining };
}

test('tokens are taken up front, given back, and come again at a steady rate', () => {
  const { caller, clock, remaining } = limited(6000);
  const lease = caller.begin();
  lease.charge(5000);
  expect(remaining()).toBe(1000);
  clock.ms += 1000;
  expect(remaining()).toBe(1100);
  lease.settle(200);
  expect(remaining()).toBe(5900);
  expect(caller.headers['x-ratelimit-reset-tokens']).toBe('1000ms');
  clock.ms += 60_000;
  expect(remaining()).toBe(6000);
});

test('a refusal names the second at which there is enough', () => {
  const { caller, clock } = limited(600);
  caller.begin().charge(500);
  const again = caller.begin();
  const refusal = { code: 'rate_limit_exceeded', retryAfter: 10 };
  expect(() => again.charge(200)).toThrow(expect.objectContaining(refusal));
  clock.ms += 9_999;
  expect(() => again.charge(200)).toThrow(expect.objectContaining({ retryAfter: 1 }));
  clock.ms += 1;
  again.charge(200);
});

test('what was used beyond what was charged is owed', () => {
  const { caller, clock, remaining } = limited(600);
  const lease = caller.begin();
  lease.charge(600);
  lease.settle(900);
  expect(remaining()).toBe(0);
  clock.ms += 30_000;
  expect(remaining()).toBe(0);
  clock.ms += 10_000;
  expect(remaining()).toBe(100);
});

test('what was not settled is not given back, and a refused request costs nothing', () => {
  const { caller, remaining } = limited(600);
  const lease = caller.begin();
  lease.charge(100);
  lease.end();
  const refused = caller.begin();
  expect(() => refused.charge(601)).toThrow(expect.objectContaining({ code: 'invalid_value' }));
  refused.settle(0);
  expect(remaining()).toBe(500);
});

test('leases are counted until they end', () => {
  const { caller } = limited(600, 1);
  const lease = caller.begin();
  expect(() => caller.begin()).toThrow(expect.objectContaining({ code: 'rate_limit_exceeded' }));
  lease.end();
  caller.begin();
});
