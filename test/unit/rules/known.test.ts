import { expect, test } from 'vitest';
import { knownRules } from '../../../src/rules/known.ts';
import { networkBytes } from '../../../src/rules/network.ts';
import { byteCodec } from '../../fakes/codec.ts';
import { ruleFor } from '../../fakes/rule.ts';

const { vocabulary } = byteCodec;
const long = (letter: string) =>
  ruleFor(vocabulary, { kind: 'choice', choice: [letter.repeat(2000)] });

test('a rule that was asked for before goes on from what was found out about it', () => {
  const ruleOf = knownRules(vocabulary, 1 << 20);
  expect(ruleOf(long('a'))).toBe(ruleOf(long('a')));
});

test('the bytes of networks count: the rules asked for longest ago make room', () => {
  const [a, b] = [long('a'), long('b')];
  const ruleOf = knownRules(vocabulary, 1.5 * networkBytes(a));
  const first = ruleOf(a);
  expect(ruleOf(a)).toBe(first);
  const second = ruleOf(b);
  expect(ruleOf(b)).toBe(second);
  expect(ruleOf(a)).not.toBe(first);
});
