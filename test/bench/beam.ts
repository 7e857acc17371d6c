/** A beam of width 4 against n = 4 samples on the pack's policy, in turns: tokens drawn per second, and their ratio. */

import { parseArgs } from 'node:util';
import { runPlan } from '../support/run_plan.ts';
import { loadLocal } from './local.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '20' }, tokens: { type: 'string', default: '96' } },
});
const WARM = 4;
const { engine, planOf } = loadLocal(null);
const common = {
  model: 'tales',
  prompt: 'Once upon a time, there was a girl named Emma. Emma lost her kite.',
  max_tokens: Number(values.tokens),
};
const contenders = {
  'beam 4': { ...common, alignment: { strategy: { type: 'beam', width: 4 } } },
  'n = 4': { ...common, n: 4 },
};

const totals = new Map(Object.keys(contenders).map((name) => [name, { tokens: 0, seconds: 0 }]));
for (let round = 0; round < WARM + Number(values.rounds); round++)
  for (const [name, body] of Object.entries(contenders)) {
    const plan = planOf(body, round);
    const total = totals.get(name)!;
    const began = performance.now();
    let tokens = 0;
    await runPlan(engine, plan, (event) => {
      if (event.kind === 'finish') tokens += event.report.generatedTokens;
    });
    if (round < WARM) continue;
    total.tokens += tokens;
    total.seconds += (performance.now() - began) / 1000;
  }

const rates = [...totals].map(([name, { tokens, seconds }]) => {
  console.log(`${name}: ${tokens} tokens, ${Math.round(tokens / seconds)} tokens/s`);
  return tokens / seconds;
});
console.log(`beam / samples: ${(rates[0]! / rates[1]!).toFixed(2)} (goal: 0.70)`);
process.exit(0);
