/** Rules for engines under test. */

import type { Vocabulary } from '../../src/core/model.ts';
import type { RuleNetwork, RuleState } from '../../src/core/rule.ts';
import { RuleCompiler, type RuleAsk, type RuleLimits } from '../../src/rules/compile.ts';
import { KnownRules } from '../../src/rules/known.ts';

export const RULE_LIMITS: RuleLimits = {
  depth: 32,
  schemas: 2000,
  values: 1000,
  pattern: 1000,
  bytes: 65_536,
  states: 20_000,
  cacheBytes: 1 << 20,
};

export function fakeRules(vocabulary: Vocabulary): (network: RuleNetwork) => RuleState {
  const rules = new KnownRules(vocabulary, 1 << 24);
  return (network) => rules.start(network);
}

export const ruleFor = (
  vocabulary: Vocabulary,
  ask: RuleAsk,
  limits: Partial<RuleLimits> = {},
): RuleNetwork =>
  new RuleCompiler('test', vocabulary, { ...RULE_LIMITS, ...limits }).compile(ask, 'rule');
