/**
 * npm run evaluate:search [-- --only REGEX --prompts 200 --out FILE]: what search and choice come to on the default pack,
 * one table each, from a server of this build. Seeds are fixed: the same build gives the same tables. FILE holds all
 * rows that are done at any time.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { asking, markdown, type Question } from './asked.ts';
import { served } from './served.ts';
import { arithmetic } from './tables/arithmetic.ts';
import { guidanceAndSearch } from './tables/guidance_and_search.ts';
import { overOptimisation } from './tables/over_optimisation.ts';
import { pruning } from './tables/pruning.ts';
import { sequenceTarget } from './tables/sequence_target.ts';
import { twoGoals } from './tables/two_goals.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '.' },
    prompts: { type: 'string', default: '200' },
    out: { type: 'string' },
  },
});
const prompts = Number(options.prompts);
const ALL: readonly Question[] = [
  overOptimisation,
  twoGoals,
  pruning,
  guidanceAndSearch,
  arithmetic,
  sequenceTarget,
];
const questions = ALL.filter(({ title }) => new RegExp(options.only, 'i').test(title));

const began = performance.now();
/** Seconds that the estimates gave what is done. */
let foreseen = 0;
let page = '';
for (const question of questions) {
  const { title, head } = question;
  const rows: (readonly string[])[] = [];
  const section = (): string =>
    `### ${title}\n\n${markdown({ head, rows, notes: [question.note(prompts)] })}\n\n`;
  const start = performance.now();
  await using server = await served({ memory: question.counts ? 'nothing' : 'all' });
  for await (const row of question.rows(asking(server.base), prompts)) {
    rows.push(row);
    foreseen += question.seconds / question.size;
    console.log(`${row.join(' | ')}   (${left()})`);
    if (options.out !== undefined) writeFileSync(options.out, page + section());
  }
  page += section();
  console.log(`\n${section()}(${secondsSince(start)} s)\n`);
}

function left(): string {
  const all = questions.reduce((sum, { seconds }) => sum + seconds, 0);
  const minutes = ((all - foreseen) * secondsSince(began)) / foreseen / 60;
  return `${secondsSince(began)} s, about ${minutes.toFixed(1)} minutes left`;
}

function secondsSince(then: number): number {
  return Math.round((performance.now() - then) / 1000);
}
