/**
 * npm run evaluate [-- --seeds 3 --prompts 200 --json FILE --config FILE]: what guides do to the default policy,
 * by gold scores of held-out openings at temperature 1; standard errors over prompts, each averaged over seeds.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildCatalog } from '../../src/catalog.ts';
import type { Draw } from '../../src/core/tree.ts';
import { loadEngines } from '../../src/load.ts';
import { readConfig } from '../../src/ops/config.ts';
import { ANYTHING } from '../../src/plan/grant.ts';
import { planner } from '../../src/plan/parse.ts';
import { loadCodec } from '../../src/runtime/tokenizer.ts';
import { pooled } from '../support/pooled.ts';
import { runPlan } from '../support/run_plan.ts';
import { gold } from './gold.ts';

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '3' },
    prompts: { type: 'string', default: '200' },
    json: { type: 'string' },
    config: { type: 'string' },
    only: { type: 'string' },
  },
});
const MAX_TOKENS = 160;
/** Requests at once; answers do not depend on it. */
const CROWD = 64;

type Guides = readonly Record<string, unknown>[];

const arm = (model: string, weight: number) => ({ model, weight });
const ratio = (plus: string, weight: number) => ({ plus, minus: 'tales', weight });

const SETTINGS: readonly (readonly [name: string, guides: Guides])[] = [
  ['unguided', []],
  ...[0.25, 0.5, 1, 2].map((w) => [`happy ${w}`, [arm('arm-happy', w)]] as const),
  ...[0.5, 1].map((w) => [`kind ${w}`, [arm('arm-kind', w)]] as const),
  ['happy 0.5, kind 0.5', [arm('arm-happy', 0.5), arm('arm-kind', 0.5)]],
  ['happy (small) 0.5', [arm('arm-happy-small', 0.5)]],
  ['happy (small) 1', [arm('arm-happy-small', 1)]],
  ['ratios happy +0.3, kind -0.3', [ratio('arm-happy', 0.3), ratio('arm-kind', -0.3)]],
  ['ratio happy -0.3', [ratio('arm-happy', -0.3)]],
];

interface Answer {
  readonly text: string;
  readonly ended: boolean;
  readonly draws: readonly Draw[];
}

const config = readConfig(options.config ?? null);
const catalog = buildCatalog(config, loadCodec);
const { engine } = loadEngines(config, () => undefined);
const plans = planner(catalog);
const prompts = readFileSync(new URL('../data/prompts.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(0, Number(options.prompts))
  .map((line) => (JSON.parse(line) as { prompt: string }).prompt);
const seeds = Array.from({ length: Number(options.seeds) }, (_, seed) => seed);

async function answer(prompt: string, seed: number, guides: Guides): Promise<Answer> {
  const body = { prompt, max_tokens: MAX_TOKENS, seed, alignment: { guides, explain: true } };
  const ambient = {
    id: `${prompt} ${seed}`,
    seed,
    grant: ANYTHING,
    socket: false,
    request: 'req_1',
  };
  const { plan } = plans.completion(body, ambient);
  let [text, ended] = ['', false];
  const draws: Draw[] = [];
  await runPlan(engine, plan, (event) => {
    if (event.kind === 'commit') {
      text += event.text;
      draws.push(...event.draws);
    } else if (event.kind === 'finish') ended = event.reason === 'stop';
  });
  return { text, ended, draws };
}

async function measure(guides: Guides) {
  const asked = prompts.flatMap((prompt) => seeds.map((seed) => ({ prompt, seed })));
  const given = await pooled(asked, CROWD, ({ prompt, seed }) => answer(prompt, seed, guides));
  const answers = prompts.map((_, i) => given.slice(i * seeds.length, (i + 1) * seeds.length));
  const all = answers.flat();
  const draws = all.flatMap((a) => a.draws);
  return {
    happy: estimate(answers.map((of) => mean(of.map((a) => gold.happy(a.text))))),
    kind: estimate(answers.map((of) => mean(of.map((a) => gold.kind(a.text))))),
    nll: -mean(draws.map((d) => d.base)),
    kl: mean(draws.map((d) => d.kl)),
    bigrams: distinctBigrams(answers),
    tokens: draws.length / all.length,
    unended: mean(all.map((a) => Number(!a.ended))),
  };
}

/** Distinct bigrams of words over all of them, per seed (the share falls with the amount of text), averaged. */
function distinctBigrams(answers: readonly (readonly Answer[])[]): number {
  return mean(
    seeds.map((seed) => {
      const pairs = answers.flatMap((of) => {
        const words = of[seed]!.text.split(/\s+/).filter(Boolean);
        return words.slice(1).map((word, i) => `${words[i]} ${word}`);
      });
      return new Set(pairs).size / pairs.length;
    }),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function estimate(values: readonly number[]): { mean: number; error: number } {
  const m = mean(values);
  const variance = values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1);
  return { mean: m, error: Math.sqrt(variance / values.length) };
}

const rows: Record<string, unknown>[] = [];
console.log(
  `${prompts.length} held-out openings x ${seeds.length} seeds, temperature 1, at most ${MAX_TOKENS} tokens\n`,
);
console.log(
  '| guides | gold happy | gold kind | base NLL per token | KL per token | distinct bigrams | tokens | no end |',
);
console.log('|---|---|---|---|---|---|---|---|');
const chosen = SETTINGS.filter(
  ([name]) => options.only === undefined || new RegExp(options.only).test(name),
);
for (const [name, guides] of chosen) {
  const m = await measure(guides);
  rows.push({ name, ...m });
  const pm = ({ mean: x, error }: { mean: number; error: number }): string =>
    `${x.toFixed(2)} ± ${error.toFixed(2)}`;
  console.log(
    `| ${name} | ${pm(m.happy)} | ${pm(m.kind)} | ${m.nll.toFixed(3)} | ${m.kl.toFixed(3)} | ` +
      `${m.bigrams.toFixed(3)} | ${m.tokens.toFixed(0)} | ${(100 * m.unended).toFixed(1)} % |`,
  );
}
engine.audit();
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(rows, null, 2));
process.exit(0);
