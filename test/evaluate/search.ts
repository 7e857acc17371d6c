/**
 * npm run evaluate:search [-- --only REGEX --prompts 200 --out FILE]: what search and choice come to on the default pack,
 * one table each, from a server of this build. Seeds are fixed: the same build gives the same tables.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { serve } from '../support/server.ts';
import { asking, markdown } from './asked.ts';
import type { Asking, Table } from './asked.ts';
import { arithmetic } from './tables/arithmetic.ts';
import { guidanceAndSearch } from './tables/guidance_and_search.ts';
import { sequenceTarget } from './tables/sequence_target.ts';
import { overOptimisation } from './tables/over_optimisation.ts';
import { pruning } from './tables/pruning.ts';
import { twoGoals } from './tables/two_goals.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '.' },
    prompts: { type: 'string', default: '200' },
    out: { type: 'string' },
  },
});

const TABLES: Readonly<Record<string, (ask: Asking, prompts: number) => Promise<Table>>> = {
  'Best-of-N and ensembles': overOptimisation,
  'Two goals at once': twoGoals,
  'Pruning and adaptive N': pruning,
  'Guidance and search': guidanceAndSearch,
  Arithmetic: arithmetic,
  'The sequence-level target': sequenceTarget,
};

await using server = await serve();
const ask = asking(server.base);
let page = '';
for (const [title, tabulate] of Object.entries(TABLES)) {
  if (!new RegExp(options.only, 'i').test(title)) continue;
  const began = performance.now();
  const table = await tabulate(ask, Number(options.prompts));
  page += `### ${title}\n\n${markdown(table)}\n\n`;
  console.log(
    `### ${title}\n\n${markdown(table)}\n\n(${Math.round((performance.now() - began) / 1000)} s)\n`,
  );
  if (options.out !== undefined) writeFileSync(options.out, page);
}
