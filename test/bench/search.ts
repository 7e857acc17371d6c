/**
 * npm run bench:search [-- --rounds N --config FILE]: what searching costs beside sampling, on the pack's models: the tokens/s of a beam
 * against as many samples, the iterations of best-of-16 against 16 samples, the rate of scoring against that of reading
 * prompts, what scoring does to other streams, and the share of time that strategies take for themselves.
 * It measures and never asserts; contenders take turns, and ratios are medians over rounds.
 */

import { parseArgs } from 'node:util';
import { median } from './closed_loop.ts';
import { loadLocal } from './local.ts';
import { sharesOf } from './profile.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    tokens: { type: 'string', default: '96' },
    config: { type: 'string', default: 'config/default.yaml' },
  },
});
const ROUNDS = Number(values.rounds);
const WARM = 3;
const server = loadLocal(values.config);
const { engine } = server;
const OPENING = 'Once upon a time, there was a girl named Emma. Emma lost her kite.';
const common = { model: 'tales', prompt: OPENING, max_tokens: Number(values.tokens) };
const happy = [{ model: 'rm-happy-a' }];
const searched = (strategy: object, more: object = {}): Record<string, unknown> => ({
  ...common,
  alignment: { strategy, ...more },
});

const bestOf16 = searched({ type: 'best_of_n', n: 16 }, { rewards: happy });

interface Took {
  readonly tokens: number;
  readonly seconds: number;
  readonly iterations: number;
}

async function took(body: Record<string, unknown>, seed: number): Promise<Took> {
  const plan = server.planOf(body, seed);
  const [began, before] = [performance.now(), engine.stats.iterations];
  let tokens = 0;
  await server.run(plan, (event) => {
    if (event.kind === 'finish') tokens += event.report.generatedTokens;
  });
  const seconds = (performance.now() - began) / 1000;
  return { tokens, seconds, iterations: engine.stats.iterations - before };
}

/** Both in turns; the median over rounds of what `of` makes of each pair. */
async function paired(
  one: Record<string, unknown>,
  other: Record<string, unknown>,
  of: (one: Took, other: Took) => number,
): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const ratio = of(await took(one, round), await took(other, round));
    if (round >= WARM) ratios.push(ratio);
  }
  return median(ratios);
}

const rate = ({ tokens, seconds }: Took): number => tokens / seconds;

/** Tokens per second of a prompt's first reading, by the policy and by a reward model of its shape. */
async function readingRates(): Promise<{ prefill: number; scoring: number }> {
  const text = (i: number): string => `${i} ${`${OPENING} `.repeat(5)}`; // no two begin alike: no cache helps
  const [prefill, scoring]: [number[], number[]] = [[], []];
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const before = { ...engine.stats };
    await Promise.all(
      Array.from({ length: 16 }, (_, i) =>
        took({ ...common, prompt: text(16 * round + i), max_tokens: 1 }, i),
      ),
    );
    const read = engine.stats.prefillTokens - before.prefillTokens;
    const documents = Array.from({ length: 16 }, (_, i) => text(1e6 + 16 * round + i));
    const judging = server.judgingOf('rm-happy-a', documents);
    const began = performance.now();
    const judged = await server.judge(judging);
    if (round < WARM) continue;
    prefill.push(read / (engine.stats.prefillSeconds - before.prefillSeconds));
    scoring.push(judged / ((performance.now() - began) / 1000));
  }
  return { prefill: median(prefill), scoring: median(scoring) };
}

const WINDOW = { warmMs: 300, windowMs: 2500 };
/** More calls than a window has time for. */
const CALLS = 200;

/** Inter-token p99 of eight streams, without and with someone who scores all the time; and what that one scores a second. */
async function neighbours(): Promise<{
  alone: number;
  beside: number;
  ratio: number;
  scoring: number;
}> {
  const rounds: { alone: number; beside: number; scoring: number }[] = [];
  let asked = 0;
  const text = (): string => `${asked++} ${OPENING} ${OPENING}`; // none is remembered
  for (let round = 0; round < 5; round++) {
    const judgings = Array.from({ length: CALLS }, () =>
      server.judgingOf('rm-happy-a', Array.from({ length: 16 }, text)),
    );
    const alone = await server.measure(8, WINDOW, () => common);
    let [open, tokens] = [true, 0];
    const began = performance.now();
    const scorer = (async () => {
      for (const judging of judgings) if (open) tokens += await server.judge(judging);
      if (open) throw new Error('scoring ended before its window');
    })();
    const beside = await server.measure(8, WINDOW, () => common);
    open = false;
    await scorer;
    const scoring = tokens / ((performance.now() - began) / 1000);
    rounds.push({ alone: alone.itl.p99, beside: beside.itl.p99, scoring });
  }
  return {
    alone: median(rounds.map(({ alone }) => alone)),
    beside: median(rounds.map(({ beside }) => beside)),
    ratio: median(rounds.map(({ alone, beside }) => beside / alone)),
    scoring: median(rounds.map(({ scoring }) => scoring)),
  };
}

const line = (what: string, value: string, goal: string): void =>
  console.log(`| ${what} | ${value} | ${goal} |`);

console.log('| figure | measured | goal |\n| --- | --- | --- |');
const beam = await paired(
  searched({ type: 'beam', width: 4 }),
  { ...common, n: 4 },
  (a, b) => rate(a) / rate(b),
);
line('tokens/s, beam of width 4 / n = 4 samples', beam.toFixed(2), 'at least 0.70');
const iterations = await paired(
  bestOf16,
  { ...common, n: 16 },
  (a, b) => a.iterations / b.iterations,
);
line('iterations, best-of-16 / 16 samples', iterations.toFixed(2), 'at most 1.15');
const { prefill, scoring } = await readingRates();
line(
  'tokens/s, scoring / prefill',
  `${(scoring / prefill).toFixed(2)} (${Math.round(scoring)} / ${Math.round(prefill)})`,
  'at least 0.70',
);
const p99 = await neighbours();
line(
  'inter-token p99 of 8 streams beside scoring / alone',
  `${p99.ratio.toFixed(2)} (${p99.beside.toFixed(1)} / ${p99.alone.toFixed(1)} ms)`,
  'at most 1.20',
);
line('tokens/s of scoring meanwhile', Math.round(p99.scoring).toString(), '');
const guided = { guides: [{ model: 'arm-happy', weight: 0.5 }] };
const strategies = {
  'best_of_n 16': bestOf16,
  'beam 4': searched({ type: 'beam', width: 4 }),
  'segment_beam 4 x 4': searched({ type: 'segment_beam', width: 4, expand: 4 }, { rewards: happy }),
  'particles 16': searched({ type: 'particles', n: 16 }, { rewards: happy, ...guided }),
  args: searched({ type: 'args' }, { rewards: happy }),
};
for (const [name, body] of Object.entries(strategies)) {
  const shares = await sharesOf(['/strategies/', '/run/'], async () => {
    for (let round = 0; round < Math.ceil(ROUNDS / 3); round++) await took(body, round);
  });
  line(
    `time in src/strategies, in src/run: ${name}`,
    shares.map((share) => `${(100 * share).toFixed(1)} %`).join(', '),
    'strategies at most 5 %',
  );
}
process.exit(0);
