import { strategies } from '../../../src/strategies/index.ts';
import { obeysStrategyLaws } from '../../laws/strategy.ts';

const QUESTION = { asks: [3, 9, 4], labels: [5, 6], calibration: null } as const;
const CONTEXT = {
  maxTokens: 30,
  judged: true,
  selfQuestion: () => QUESTION,
  layerStates: true,
};
const SCHEDULE = {
  n: 8,
  alphas: [
    { at: 3, alpha: 0.25 },
    { at: 6, alpha: 0.5 },
  ],
  loss: 0.1,
  most: 0.15,
  saved: 0.3,
};
const obey = (strategy: string, fields: object): void =>
  obeysStrategyLaws(strategy, strategies[strategy]!.parse(fields, CONTEXT));

obeysStrategyLaws('sample', {});

const reject = { type: 'speculative_rejection', at: [2, 4, 8] };
const doubt = { type: 'confidence', warm_up: 2, min_tokens: 2, every: 3, window: 4, quantile: 0.5 };
obey('best_of_n', { n: 6 });
obey('best_of_n', { n: 6, select: 'soft', lambda: 0.5, by: 'likelihood' });
obey('best_of_n', { n: 6, prune: reject });
obey('best_of_n', { n: 6, prune: { type: 'value', threshold: 0.5, min_tokens: 3, every: 4 } });
obey('best_of_n', { n: 6, prune: doubt });
obey('best_of_n', { n: 4, prune: { type: 'self_evaluation', at: [2, 5, 9] } });
obey('best_of_n', { n: 5, prune: { type: 'self_truncation' } });
obey('best_of_n', { n: 3, prune: { type: 'self_truncation', window: 2.5 } });
obey('best_of_n', {
  n: 5,
  by: 'likelihood',
  adaptive: { self_evaluation: { probability: 0.8 }, round: 2 },
});
obey('best_of_n', { n: 6, adaptive: { cost: 0.1, min: 2, round: 2, temperatures: [0.5, 1] } });
obey('best_of_n', { n: 4, adaptive: { threshold: 0.6, cost: 0.01 }, select: 'soft' });
obeysStrategyLaws(
  'best_of_n',
  strategies['best_of_n']!.parse(
    { n: 8, prune: { type: 'calibrated', loss: 0.2 } },
    { ...CONTEXT, schedules: () => [SCHEDULE] },
  ),
);
obey('best_of_n', {
  n: 6,
  prune: { ...doubt, answer: { extract: 'regex', pattern: 'choice' }, consensus: 0.6 },
});
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
obey('particles', { n: 5, every: 2, ess: 1, potential: 'max', resample: 'residual' });
obey('particles', { n: 5, every: 2, ess: 1, potential: 'rt', resample: 'multinomial' });
obey('mcts', { segment: { tokens: 5 }, iterations: 8, roll_branch: 2, end_gate: 0.99 });
obey('mcts', { segment: { tokens: 3 }, iterations: 30, patience: 2, end_gate: 2 });
obey('vote', { n: 8, answer: { extract: 'regex', pattern: 'choice' } });
obey('vote', { n: 6, by: 'weighted', filter: { threshold: 0.5, at: 4 } });
obey('vote', { n: 6, by: 'best', answer: { extract: 'regex', pattern: 'choice' } });
