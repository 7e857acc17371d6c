/**
 * npm run evaluate:self [-- --prompts 200 --only REGEX --write]: what policies' opinions of their own answers are worth. A record (question, scale, shift)
 * is fitted on base samples of prompts that no table of evidence uses, and judged on others. `--write` stores it in the
 * policy's manifest as `facts.self_evaluation`, if its AUROC there reaches 0.8; without a record the server refuses.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { calibrated } from '../../src/core/self_evaluation.ts';
import { arithProblems, isRight } from '../support/arith.ts';
import { pooled } from '../support/pooled.ts';
import { asking, linesOf, markdown, openings } from './asked.ts';
import { writeFacts } from './facts.ts';
import { gold } from './gold.ts';
import { auroc, bins, ece, platt, type Outcome } from './calibration.ts';
import { served } from './served.ts';

const { values: options } = parseArgs({
  options: {
    prompts: { type: 'string', default: '200' },
    only: { type: 'string', default: '.' },
    write: { type: 'boolean', default: false },
  },
});
const prompts = Number(options.prompts);
const ANSWERS = 4;
const LEAST_AUROC = 0.8;
/** Requests at once, of as many trees each. */
const CROWD = 16;

interface Asked {
  readonly prompt: string;
  /** Whether an answer is a good one. */
  readonly good: (text: string) => boolean;
}
const problems = arithProblems().map((problem): Asked => ({
  prompt: problem.prompt,
  good: (text) => isRight(problem, text),
}));
const story = (prompt: string): Asked => ({ prompt, good: (text) => gold.happy(text) > 0 });
const base = linesOf<{ prompt: string }>('../data/base_prompts.jsonl', 100);

/** The self-evaluation of an answer is the chance of a no. */
const SETS = [
  {
    policy: 'tales',
    question: 'Is this a sad story?',
    means: 'gold happy is above 0',
    fit: base.map(({ prompt }) => story(prompt)),
    test: openings(200).map(story),
  },
  {
    policy: 'arith',
    question: 'Would you do better by starting over?',
    means: 'the answer is right',
    fit: problems.slice(-40),
    test: problems.slice(24, 224),
  },
].filter(({ policy }) => new RegExp(options.only).test(policy));

await using server = await served({ memory: 'all' });
const ask = asking(server.base);

async function outcomes(
  policy: string,
  question: string,
  all: readonly Asked[],
): Promise<Outcome[]> {
  const rewards = [{ self_evaluation: { question, uncalibrated: true } }];
  const asked = await pooled(all.slice(0, prompts), CROWD, async ({ prompt, good }, seed) => {
    const body = { model: policy, prompt, seed, n: ANSWERS, max_tokens: 110 };
    const texts = (await ask.complete(body)).choices.map(({ text }) => text);
    const chances = await ask.score(prompt, texts, { model: policy, alignment: { rewards } });
    return chances.map((chance, i): Outcome => [chance, good(texts[i]!)]);
  });
  return asked.flat();
}

for (const { policy, question, means, fit, test } of SETS) {
  const [fitted, said] = [
    await outcomes(policy, question, fit),
    await outcomes(policy, question, test),
  ];
  const { scale, shift } = platt(fitted);
  const mended = said.map(([chance, is]): Outcome => [calibrated(chance, { scale, shift }), is]);
  const share = said.filter(([, is]) => is).length / said.length;
  const area = auroc(said);
  const figures = { auroc: area, ece: ece(said), ece_calibrated: ece(mended), share_good: share };
  const digits = (x: number): number => Number(x.toFixed(4));
  const measured = Object.fromEntries(Object.entries(figures).map(([k, v]) => [k, digits(v)]));
  const record = { question, scale: digits(scale), shift: digits(shift) };
  console.log(JSON.stringify({ policy, ...record, ...measured, answers: said.length }));
  const rows = bins(mended).map(({ count, said: told, was }) => [
    told.toFixed(2),
    was.toFixed(2),
    `${count}`,
  ]);
  const notes = [
    `${policy}, "${question}", no: ${means}. ${test.length} prompts, ${ANSWERS} answers each; calibrated on ${fit.length} others.`,
  ];
  console.log(`${markdown({ head: ['said', 'came true', 'answers'], rows, notes })}\n`);
  const folder = fileURLToPath(new URL(`../../models/${policy}`, import.meta.url));
  if (options.write && area >= LEAST_AUROC)
    writeFacts(folder, {
      self_evaluation: { ...record, ...measured, means, answers: said.length },
    });
}
