import { obeysStrategyLaws } from '../../laws/strategy.ts';

obeysStrategyLaws('sample', { chunk: 1 });
obeysStrategyLaws('sample', { chunk: 1000 });

const best = { n: 6, by: 'reward', lambda: 0, alpha: 0, at: [], chunk: 3 };
obeysStrategyLaws('best_of_n', best);
obeysStrategyLaws('best_of_n', { ...best, lambda: 0.5, by: 'likelihood', chunk: 16 });
obeysStrategyLaws('best_of_n', { ...best, alpha: 0.5, at: [2, 4, 8] });
