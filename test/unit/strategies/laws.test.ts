import { obeysStrategyLaws } from '../../laws/strategy.ts';

obeysStrategyLaws('sample', { chunk: 1 });
obeysStrategyLaws('sample', { chunk: 1000 });
