import { expect, test } from 'vitest';
import { KnownRules } from '../../../src/rules/known.ts';
import { networkBytes } from '../../../src/rules/network.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { ruleFor } from '../../fakes/rule.ts';

const { vocabulary } = byteCodec;
const long = (letter: string) =>
  ruleFor(vocabulary, { kind: 'choice', choice: [letter.repeat(2000)] });

test('a rule that was asked for before goes on from what was found out about it', () => {
  const rules = new KnownRules(vocabulary, 1 << 20);
  expect(rules.start(long('a'))).toBe(rules.start(long('a')));
});

test('the bytes of networks count: the rules asked for longest ago make room', () => {
  const [a, b] = [long('a'), long('b')];
  const rules = new KnownRules(vocabulary, 1.5 * networkBytes(a));
  const first = rules.start(a);
  expect(rules.start(a)).toBe(first);
  const second = rules.start(b);
  expect(rules.start(b)).toBe(second);
  expect(rules.bytes).toBeLessThan(1.5 * networkBytes(a));
  expect(rules.start(a)).not.toBe(first);
});
