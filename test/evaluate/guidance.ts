/**
 * npm run evaluate [-- --seeds 3 --prompts 200 --json FILE --config FILE --only REGEXP]: what guides do to the default
 * policy, by gold scores of held-out openings at temperature 1; standard errors over prompts, each averaged over seeds.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readConfig } from '../../src/ops/config.ts';
import { estimate, openings, plusMinus } from './asked.ts';
import { guided, MAX_TOKENS, settings } from './guided.ts';

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    prompts: { type: 'string', default: '200' },
    json: { type: 'string' },
    config: { type: 'string' },
    only: { type: 'string' },
  },
});

const config = readConfig(options.config ?? null);
const { engine, measure } = guided(config);
const prompts = openings(Number(options.prompts));
const seeds = Array.from({ length: Number(options.seeds) }, (_, seed) => seed);

const rows: Record<string, unknown>[] = [];
console.log(
  `${prompts.length} held-out openings x ${seeds.length} seeds, temperature 1, at most ${MAX_TOKENS} tokens\n`,
);
console.log(
  '| guides | gold happy | gold kind | base NLL per token | KL per token | distinct bigrams | tokens | no end |',
);
console.log('|---|---|---|---|---|---|---|---|');
const chosen = settings('tales').filter(
  ([name]) => options.only === undefined || new RegExp(options.only).test(name),
);
for (const [name, guides] of chosen) {
  const measured = await measure({ model: config.policy, prompts, seeds, guides });
  const { nll, kl, bigrams, tokens, unended } = measured;
  const [happy, kind] = [estimate(measured.happy), estimate(measured.kind)];
  rows.push({ name, ...measured, happy, kind });
  console.log(
    `| ${name} | ${plusMinus(happy)} | ${plusMinus(kind)} | ${nll.toFixed(3)} | ${kl.toFixed(3)} | ` +
      `${bigrams.toFixed(3)} | ${tokens.toFixed(0)} | ${(100 * unended).toFixed(1)} % |`,
  );
}
engine.audit();
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(rows, null, 2));
process.exit(0);
