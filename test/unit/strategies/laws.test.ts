import { strategies } from '../../../src/strategies/index.ts';
import { obeysStrategyLaws } from '../../laws/strategy.ts';

const CONTEXT = { maxTokens: 30, stream: true, judged: true };
const obey = (strategy: string, fields: object): void =>
  obeysStrategyLaws(strategy, strategies[strategy]!.parse(fields, CONTEXT));

obeysStrategyLaws('sample', { chunk: 1 });
obeysStrategyLaws('sample', { chunk: 1000 });

const best = { n: 6, by: 'reward', lambda: 0, alpha: 0, at: [], chunk: 3 };
obeysStrategyLaws('best_of_n', best);
obeysStrategyLaws('best_of_n', { ...best, lambda: 0.5, by: 'likelihood', chunk: 16 });
obeysStrategyLaws('best_of_n', { ...best, alpha: 0.5, at: [2, 4, 8] });
obey('beam', { width: 1, reward_weight: 0 });
obey('beam', { width: 4, groups: 2, early_stopping: true, length_penalty: 1 });
obey('beam', {
  width: 3,
  length_penalty: -0.5,
  length_basis: 'full',
  early_stopping: false,
  reward_weight: 0,
});
obey('segment_beam', { width: 2, expand: 3, segment: { tokens: 4 } });
obey('segment_beam', { width: 1, expand: 4, segment: { until: ['a', 'e', 'i', 'o', 'u'] } });
obey('segment_rejection', { target: 0.9, segment: { entropy: 2.8, min_tokens: 2 }, attempts: 5 });
obey('segment_rejection', { segment: { tokens: 6 }, attempts: 3 });
obey('args', { top_k: 3 });
obey('args', { top_k: 4, temperature: 0.5 });
obey('particles', { n: 6, every: 4, ess: 1 });
obey('particles', { n: 4, every: 3, lambda: 0, select: 'best' });
obey('mcts', { segment: { tokens: 5 }, iterations: 8, roll_branch: 2, end_gate: 0.99 });
obey('vote', { n: 8, answer: { extract: 'regex', pattern: 'choice' } });
obey('vote', { n: 6, by: 'weighted', filter: { threshold: 0.5, at: 4 } });
