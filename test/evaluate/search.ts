/**
 * npm run evaluate:search [-- --only REGEX --prompts 200 --out FILE]: what search and choice come to on the default pack,
 * one table each, from a server of this build. Seeds are fixed: the same build gives the same tables. FILE holds all
 * rows that are done at any time.
 */

import { parseArgs } from 'node:util';
import { served } from './served.ts';
import { arithmetic } from './tables/arithmetic.ts';
import { guidanceAndSearch } from './tables/guidance_and_search.ts';
import { overOptimisation } from './tables/over_optimisation.ts';
import { preferences } from './tables/preferences.ts';
import { pruning } from './tables/pruning.ts';
import { sequenceTarget } from './tables/sequence_target.ts';
import { twoGoals } from './tables/two_goals.ts';
import { tabulate } from './tabulate.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '.' },
    prompts: { type: 'string', default: '200' },
    out: { type: 'string' },
  },
});
const ALL = [
  overOptimisation,
  twoGoals,
  preferences,
  pruning,
  guidanceAndSearch,
  arithmetic,
  sequenceTarget,
];

await tabulate(
  ALL.filter(({ title }) => new RegExp(options.only, 'i').test(title)),
  {
    prompts: Number(options.prompts),
    out: options.out,
    open: ({ counts }) => served({ memory: counts ? 'nothing' : 'all' }),
  },
);
